"""Up, down and back again with a real supervisor; for its users see test_live_services.py."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_executor.deployment import Rollout, deploy, prove
from build_executor.models import Check, VerifiedRelease
from build_executor.settings import Settings
from build_executor.targets.local import LocalTarget, local_supervisor_down, local_supervisor_up
from build_executor.targets.probing import release_at
from tests.fakes.release import Releases


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(build_executor_home=tmp_path / "home")
    yield settings
    local_supervisor_down(settings)


def live(settings: Settings, verified: VerifiedRelease) -> str:
    target = LocalTarget(settings.services)
    passed = (Check(name="x", passed=True),)
    deployed = deploy(verified, [target], lambda _: passed, Rollout(guard_seconds=0))
    prove(deployed, [target])
    return deployed[0].url


def test_up_starts_nothing_where_nothing_was_deployed(settings: Settings, tmp_path: Path) -> None:
    local_supervisor_up(settings)

    assert not (tmp_path / "home").exists()


def test_down_ends_the_services_and_up_brings_back_what_is_not_damaged(
    settings: Settings, releases: Releases, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop = releases.build("1.0.0")
    bank = Releases(tmp_path / "bank", service="a-bank").build("1.0.0")
    url, damaged_url = live(settings, shop), live(settings, bank)
    with LocalTarget(settings.services).locked("never-live", "build"):
        pass
    local_supervisor_down(settings)
    assert release_at(url) is None
    shutil.rmtree(settings.services / "a-bank" / "releases")

    with caplog.at_level(logging.WARNING):
        local_supervisor_up(settings)

    assert release_at(url) == shop.release.id
    assert release_at(damaged_url) is None
    assert "cannot bring a-bank back" in caplog.text
