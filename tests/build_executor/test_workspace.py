import os
import shutil
import stat
import tarfile
from pathlib import Path

import pytest

from build_executor.artifacts import SOURCE_ARCHIVE, ArtifactStore
from build_executor.errors import UnsafeArchive
from build_executor.settings import Settings
from build_executor.workspace import (
    close_workspace,
    open_workspace,
    pack,
    remove_workspace,
    unpack,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(build_executor_home=tmp_path / "home")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "app").mkdir(parents=True)
    (source / "app" / "main.py").write_text("app = 1\n")
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o700)
    return source


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def test_a_workspace_is_for_its_owner_only(settings: Settings) -> None:
    workspace = open_workspace("b1", "shop", settings)

    folders = (settings.builds, workspace.path, workspace.source)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 3


def test_opening_a_workspace_again_keeps_what_is_in_it(settings: Settings) -> None:
    (open_workspace("b1", "shop", settings).source / "main.py").touch()

    again = open_workspace("b1", "shop", settings)

    assert (again.source / "main.py").exists()


@pytest.mark.parametrize("build_id", ["", "..", "a/b", "../b", "a\0b"])
def test_a_build_id_that_is_a_path_is_refused(settings: Settings, build_id: str) -> None:
    with pytest.raises(ValueError, match="not a build id"):
        open_workspace(build_id, "shop", settings)


def test_a_removed_workspace_is_gone_and_may_be_removed_again(settings: Settings) -> None:
    workspace = open_workspace("b1", "shop", settings)

    remove_workspace("b1", settings)
    remove_workspace("b1", settings)

    assert not workspace.path.exists()


@pytest.mark.parametrize("place", ["builds/b1", "builds/b1/source/link"])
def test_removing_never_follows_a_link(settings: Settings, tmp_path: Path, place: str) -> None:
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "file").touch()
    link = settings.build_executor_home / place
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)

    remove_workspace("b1", settings)

    assert (outside / "file").exists()
    assert not link.exists()


def test_a_closed_workspace_leaves_its_source_as_an_artifact(settings: Settings) -> None:
    workspace = open_workspace("b1", "shop", settings)
    (workspace.source / "main.py").touch()

    close_workspace("b1", settings)
    close_workspace("b1", settings)

    archive = ArtifactStore(settings.artifacts).path("b1", SOURCE_ARCHIVE)
    assert names(archive) == ["main.py"]
    assert not workspace.path.exists()


def test_the_same_source_has_the_same_digest(source: Path, tmp_path: Path) -> None:
    other = shutil.copytree(source, tmp_path / "other")
    (other / "app" / "main.py").touch()
    os.utime(other / "run.sh", (1, 1))

    assert pack(source, tmp_path / "a.tar.gz") == pack(other, tmp_path / "b.tar.gz")


def test_another_source_has_another_digest(source: Path, tmp_path: Path) -> None:
    before = pack(source, tmp_path / "a.tar.gz")
    (source / "app" / "main.py").write_text("app = 2\n")

    assert pack(source, tmp_path / "b.tar.gz") != before


def test_caches_environments_databases_and_links_are_not_packed(
    source: Path, tmp_path: Path
) -> None:
    for name in (".venv/bin/python", "app/__pycache__/x.pyc", ".pytest_cache/v", "data.db-wal"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    (source / "passwd").symlink_to("/etc/passwd")

    pack(source, tmp_path / "a.tar.gz")

    assert names(tmp_path / "a.tar.gz") == ["app/main.py", "run.sh"]


def test_what_was_packed_is_unpacked_readable_and_nothing_else_is_there(
    source: Path, tmp_path: Path
) -> None:
    pack(source, tmp_path / "a.tar.gz")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()

    folder = unpack(tmp_path / "a.tar.gz", tmp_path / "out")

    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.rglob("*")}
    assert modes == {"app": 0o755, "main.py": 0o644, "run.sh": 0o755}


def test_an_archive_that_reaches_out_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../evil"))

    with pytest.raises(UnsafeArchive, match="more than plain files"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")

    assert not (tmp_path / "evil").exists()


def test_an_archive_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("zeros")
    entry.size = 65 * 1024 * 1024
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar, Path("/dev/zero").open("rb") as zeros:
        tar.addfile(entry, zeros)

    with pytest.raises(UnsafeArchive, match="64 MiB"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")
