import stat
from pathlib import Path

import pytest

from build_executor.environment import (
    lock_requirements,
    provide_environment,
    put_environment,
    requirement_findings,
)
from build_executor.errors import BuildFailed, CommandFailed
from build_executor.settings import Settings
from tests.fakes.wheels import make_source, make_wheel

HASH = "--hash=sha256:" + "0" * 64


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(build_executor_home=tmp_path / "home")


def requirements(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing but a comment\n",
        f"fastapi==0.150.0 {HASH}\n",
        f"fastapi==0.150.0 \\\n    {HASH} \\\n    {HASH}\n    # via app\n",
        f"uvicorn[standard]==0.54.0 ; sys_platform == 'linux' {HASH}",
    ],
)
def test_pinned_and_hashed_packages_are_accepted(text: str) -> None:
    assert requirement_findings(text) == []


@pytest.mark.parametrize("line", ["fastapi", "fastapi>=0.1", "fastapi==0.1", "fastapi[all] ~= 1"])
def test_what_can_be_locked_is_told_from_what_is_forbidden(line: str) -> None:
    assert [finding.rule for finding in requirement_findings(line)] == ["unlocked"]


@pytest.mark.parametrize(
    "line",
    [
        "-r other.txt",
        "--index-url https://example.org/simple",
        "--extra-index-url=https://example.org",
        "git+https://example.org/x.git",
        f"evil @ https://example.org/evil.whl {HASH}",
        f"evil @ file:///tmp/evil {HASH}",
        "./local",
        "-e .",
        "https://example.org/evil.whl",
    ],
)
def test_other_sources_of_packages_are_forbidden(line: str) -> None:
    assert [finding.rule for finding in requirement_findings(line)] == ["forbidden"]


def test_a_source_without_requirements_is_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(BuildFailed, match="has no requirements"):
        provide_environment(tmp_path / "requirements.txt", tmp_path / "env", settings)


def test_forbidden_requirements_reach_no_installer(tmp_path: Path, settings: Settings) -> None:
    path = requirements(tmp_path, "git+https://example.org/x.git\n")

    with pytest.raises(BuildFailed, match="not locked"):
        provide_environment(path, tmp_path / "env", settings)

    assert not settings.cache.exists()


def test_an_environment_is_prepared_once_and_copied(tmp_path: Path, settings: Settings) -> None:
    path = requirements(tmp_path, "# nothing\n")

    provide_environment(path, tmp_path / "first", settings)
    (tmp_path / "first" / "bin" / "evil").touch()
    said = provide_environment(path, tmp_path / "second", settings)

    assert said == ""
    assert not (tmp_path / "second" / "bin" / "evil").exists()
    assert len(list((settings.cache / "environments").iterdir())) == 1


def test_an_environment_replaces_an_older_one(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "old").touch()

    provide_environment(requirements(tmp_path, ""), tmp_path / "env", settings)

    assert (tmp_path / "env" / "bin" / "python").exists()
    assert not (tmp_path / "env" / "bin" / "old").exists()


def test_the_sandboxs_user_may_read_an_environment(tmp_path: Path, settings: Settings) -> None:
    provide_environment(requirements(tmp_path, ""), tmp_path / "env", settings)

    assert stat.S_IMODE((tmp_path / "env" / "lib").stat().st_mode) == 0o755


def test_a_package_that_cannot_be_installed_leaves_nothing(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    path = requirements(tmp_path, f"no-such-package-here==1.0 {HASH}\n")

    with pytest.raises(BuildFailed, match="cannot be installed") as failure:
        provide_environment(path, tmp_path / "env", settings)

    assert "no-such-package-here" in failure.value.findings[0].message
    assert list((settings.cache / "environments").iterdir()) == []


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only index."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "packages"))
    return tmp_path / "packages"


def test_a_locked_wheel_is_installed(tmp_path: Path, settings: Settings, packages: Path) -> None:
    path = requirements(tmp_path, make_wheel(packages, "plain", "x = 1\n"))

    provide_environment(path, tmp_path / "env", settings)

    assert list((tmp_path / "env").rglob("plain.py"))


def test_another_file_than_the_locked_one_is_refused(
    tmp_path: Path, settings: Settings, packages: Path
) -> None:
    path = requirements(tmp_path, make_wheel(packages, "plain", "x = 1\n"))
    make_wheel(packages, "plain", "x = 2  # by somebody else\n")

    with pytest.raises(BuildFailed, match="cannot be installed"):
        provide_environment(path, tmp_path / "env", settings)


def test_what_a_package_needs_has_to_be_locked_as_well(
    tmp_path: Path, settings: Settings, packages: Path
) -> None:
    make_wheel(packages, "inner", "x = 1\n")
    path = requirements(tmp_path, make_wheel(packages, "outer", "", needs="inner"))

    with pytest.raises(BuildFailed, match="cannot be installed") as failure:
        provide_environment(path, tmp_path / "env", settings)

    assert "inner" in failure.value.findings[0].message


def test_nothing_of_a_package_without_a_wheel_is_run(
    tmp_path: Path, settings: Settings, packages: Path
) -> None:
    marker = tmp_path / "was-run"
    path = requirements(tmp_path, make_source(packages, "sourced", marker))

    with pytest.raises(BuildFailed, match="cannot be installed"):
        provide_environment(path, tmp_path / "env", settings)
    path.write_text("sourced\n")
    with pytest.raises(CommandFailed):
        lock_requirements(path, settings)

    assert not marker.exists()


def test_an_environment_that_another_build_prepared_meanwhile_is_used(
    tmp_path: Path, settings: Settings
) -> None:
    path = requirements(tmp_path, "")
    provide_environment(path, tmp_path / "env", settings)
    prepared = next((settings.cache / "environments").iterdir())
    draft = tmp_path / "draft"
    draft.mkdir()
    (draft / "file").touch()

    put_environment(draft, prepared)

    assert not (prepared / "file").exists()


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        put_environment(tmp_path / "no draft", tmp_path / "place")


def test_requirements_that_cannot_be_resolved_stay_as_they_were(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    path = requirements(tmp_path, "no-such-package-here\n")

    with pytest.raises(CommandFailed):
        lock_requirements(path, settings)

    assert path.read_text() == "no-such-package-here\n"
