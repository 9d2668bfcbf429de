"""Packages for a Python that is not ours; the wheels are made here, so no index is asked."""

import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from build_executor.errors import DeploymentFailed
from build_executor.settings import Settings
from build_executor.targets.dependencies import Dependencies, Platform, vendored_dependencies
from tests.fakes.wheels import make_wheel

OLD_LAPTOP = Platform(python="3.11", machine="x86_64")
SMALL_BOARD = Platform(python="3.12", machine="aarch64")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    return Settings(build_executor_home=tmp_path / "home")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(make_wheel(tmp_path / "wheels", "greeting", "print('hello')\n"))
    return path


def members(dependencies: Dependencies) -> list[tarfile.TarInfo]:
    with tarfile.open(dependencies.archive) as tar:
        return tar.getmembers()


def test_the_packages_of_a_lock_are_a_folder_and_an_archive(lock: Path, settings: Settings) -> None:
    made = vendored_dependencies(lock, OLD_LAPTOP, settings)

    assert (made.folder / "greeting.py").read_text() == "print('hello')\n"
    assert "greeting.py" in [member.name for member in members(made)]


def test_nothing_in_them_belongs_to_this_machine(lock: Path, settings: Settings) -> None:
    found = members(vendored_dependencies(lock, OLD_LAPTOP, settings))

    assert not [m.name for m in found if m.name.startswith(("bin", ".")) or "pycache" in m.name]
    assert {(m.uid, m.gid, m.mtime) for m in found} == {(0, 0, 0)}


def test_they_are_made_once(lock: Path, settings: Settings) -> None:
    first = vendored_dependencies(lock, OLD_LAPTOP, settings)
    (first.folder / "mark").touch()

    second = vendored_dependencies(lock, OLD_LAPTOP, settings)

    assert second == first
    assert (second.folder / "mark").exists()


def test_the_same_lock_gives_the_same_archive_again(
    lock: Path, settings: Settings, tmp_path: Path
) -> None:
    elsewhere = Settings(build_executor_home=tmp_path / "elsewhere")

    first = vendored_dependencies(lock, OLD_LAPTOP, settings)
    second = vendored_dependencies(lock, OLD_LAPTOP, elsewhere)

    assert second.digest == first.digest
    assert second.folder != first.folder


def test_each_platform_has_its_own(tmp_path: Path, lock: Path, settings: Settings) -> None:
    built = "1.0-cp312-cp312-manylinux_2_28_aarch64"
    lock.write_text(make_wheel(tmp_path / "wheels", "greeting", "print('board')\n", built=built))

    made = vendored_dependencies(lock, SMALL_BOARD, settings)

    assert (made.folder / "greeting.py").read_text() == "print('board')\n"


def test_a_package_without_a_wheel_for_the_platform_is_refused(
    tmp_path: Path, lock: Path, settings: Settings
) -> None:
    built = "1.0-cp312-cp312-manylinux_2_28_aarch64"
    lock.write_text(make_wheel(tmp_path / "wheels", "boards", "", built=built))

    with pytest.raises(DeploymentFailed, match=r"Python 3\.11 on x86_64") as failure:
        vendored_dependencies(lock, OLD_LAPTOP, settings)

    assert "boards" in failure.value.findings[0].message
    assert list((settings.cache / "dependencies").iterdir()) == []


def test_two_builders_at_once_get_the_same(lock: Path, settings: Settings) -> None:
    with ThreadPoolExecutor(2) as builders:
        made = builders.map(lambda _: vendored_dependencies(lock, OLD_LAPTOP, settings), range(2))
        first, second = made

    assert first == second
    assert first.archive.is_file()
    assert len(list((settings.cache / "dependencies").iterdir())) == 1


def test_a_service_that_needs_nothing_has_an_empty_folder(lock: Path, settings: Settings) -> None:
    lock.write_text("# nothing\n")

    made = vendored_dependencies(lock, OLD_LAPTOP, settings)

    assert list(made.folder.iterdir()) == []


def test_packages_that_are_not_locked_are_refused(lock: Path, settings: Settings) -> None:
    lock.write_text("greeting==1.0\n")

    with pytest.raises(DeploymentFailed, match="not locked"):
        vendored_dependencies(lock, OLD_LAPTOP, settings)


def test_a_release_without_requirements_is_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(DeploymentFailed, match=r"no requirements\.txt"):
        vendored_dependencies(tmp_path / "requirements.txt", OLD_LAPTOP, settings)
