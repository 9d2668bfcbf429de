from collections.abc import Iterator
from pathlib import Path

import pytest

from build_executor.errors import InvalidSettings
from build_executor.settings import (
    Settings,
    inherited_environment,
    installer_environment,
    load,
)

KEY = "k" * 32


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment in which nothing is set."""
    for name in inherited_environment():
        if name.upper() in {field.upper() for field in Settings.model_fields} or name.startswith(
            ("UV_", "PIP_", "SSL_", "HTTP", "ALL_", "NO_PROXY")
        ):
            monkeypatch.delenv(name)
    return iter([monkeypatch])


def test_without_any_variable_it_listens_on_loopback_only() -> None:
    settings = load()

    assert (settings.host, settings.port, settings.is_loopback_only) == ("127.0.0.1", 8211, True)
    assert settings.registry_url is None


def test_every_folder_is_below_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BUILD_EXECUTOR_HOME", str(tmp_path))

    settings = load()

    folders = [
        settings.builds,
        settings.artifacts,
        settings.specs,
        settings.services,
        settings.cache,
        settings.directory,
    ]
    assert {folder.parent for folder in folders} == {tmp_path}
    assert len(set(folders)) == 6


def test_roots_are_separated_by_colons_and_made_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEC_ROOTS", "/srv/specs:examples:")

    assert load().spec_roots == (Path("/srv/specs"), Path.cwd() / "examples")


def test_roots_may_be_given_as_paths() -> None:
    assert Settings(spec_roots=(Path("/srv"),)).spec_roots == (Path("/srv"),)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_URL", "")

    assert load().registry_url is None


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("PORT", "a lot", "PORT: "),
        ("REGISTRY_URL", "ftp://x", "REGISTRY_URL: "),
        ("JWT_SECRET", "short", "JWT_SECRET: Value error, must have at least 32 bytes"),
        ("HOST", "192.0.2.1", "settings: Value error, HOST 192.0.2.1 is not loopback"),
        ("VERIFIER_POLICY", "maybe", "VERIFIER_POLICY: "),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(InvalidSettings, match=complaint):
        load()


def test_a_complaint_never_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "canary")

    with pytest.raises(InvalidSettings) as refusal:
        load()

    assert "canary" not in str(refusal.value)


def test_with_a_key_it_may_be_open_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "0.0.0.0")  # noqa: S104 - what is tested
    monkeypatch.setenv("JWT_SECRET", KEY)

    settings = load()

    assert not settings.is_loopback_only
    assert settings.secrets() == [KEY]
    assert KEY not in repr(settings)


def test_an_installer_is_told_only_where_packages_come_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://index.example/simple")
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "canary")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary")

    assert installer_environment() == {
        "UV_DEFAULT_INDEX": "https://index.example/simple",
        "https_proxy": "http://proxy.example",
    }


def test_what_was_set_for_pip_counts_unless_uv_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.example/simple")
    monkeypatch.setenv("PIP_CERT", "/etc/pip.pem")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/uv.pem")

    assert installer_environment() == {
        "UV_DEFAULT_INDEX": "https://pip.example/simple",
        "SSL_CERT_FILE": "/etc/uv.pem",
    }


def test_canary_steps_are_growing_percentages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_STEPS", "10,50")

    assert load().canary_steps == (10, 50)
    assert Settings(canary_steps=(5,)).canary_steps == (5,)


@pytest.mark.parametrize("steps", ["50,10", "0", "100", "10,10", "ten"])
def test_other_canary_steps_are_refused(monkeypatch: pytest.MonkeyPatch, steps: str) -> None:
    monkeypatch.setenv("CANARY_STEPS", steps)

    with pytest.raises(InvalidSettings, match="CANARY_STEPS"):
        load()


@pytest.mark.parametrize(
    ("given", "models"), [("claude-a, claude-b,", ("claude-a", "claude-b")), ("-", ())]
)
def test_fallback_models_are_a_list_that_may_be_empty(
    monkeypatch: pytest.MonkeyPatch, given: str, models: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CLAUDE_FALLBACK_MODELS", given)

    assert load().claude_fallback_models == models


def test_prices_are_given_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = '{"input": 1, "output": 2, "cache_write": 3, "cache_read": 4}'
    monkeypatch.setenv("CLAUDE_PRICES", f'{{"claude-x": {rates}}}')

    assert load().claude_prices["claude-x"].output == 2


def test_a_price_that_lacks_a_rate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_PRICES", '{"claude-x": {"input": 1}}')

    with pytest.raises(InvalidSettings, match="CLAUDE_PRICES_CLAUDE-X_OUTPUT: Field required"):
        load()
