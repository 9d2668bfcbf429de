from pathlib import Path

import pytest

from build_executor.errors import InvalidSettings
from build_executor.settings import Settings
from build_executor.targets import open_targets


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(build_executor_home=tmp_path, keep_releases=3)


def test_the_local_target_keeps_as_many_releases_as_the_settings_say(settings: Settings) -> None:
    (target,) = open_targets("local", settings)

    assert (target.name, target.keep_releases) == ("local", 3)


def test_opening_a_target_touches_nothing(settings: Settings, tmp_path: Path) -> None:
    open_targets("local", settings)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("production", "the target `production` is not configured"),
        ("moon", "no target of this name: `moon`"),
    ],
)
def test_a_target_that_cannot_be_opened_says_why(
    settings: Settings, name: str, reason: str
) -> None:
    with pytest.raises(InvalidSettings, match=reason):
        open_targets(name, settings)
