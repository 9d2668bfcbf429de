import io
import tarfile
from pathlib import Path

import pytest

from build_executor.archives import extract
from build_executor.errors import UnsafeArchive


def archive_of(folder: Path, *members: tarfile.TarInfo, content: bytes = b"") -> Path:
    path = folder / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            member.size = len(content) if member.isfile() else 0
            tar.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def test_files_and_folders_come_out_as_they_were(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, member("app", tarfile.DIRTYPE), member("app/x"), content=b"1")

    extract(archive, tmp_path / "out")

    assert (tmp_path / "out" / "app" / "x").read_bytes() == b"1"


@pytest.mark.parametrize(
    "bad",
    [
        member("../outside"),
        member("a/../../outside"),
        member("/absolute"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("hard", tarfile.LNKTYPE, "good"),
        member("device", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda bad: bad.name,
)
def test_anything_else_is_refused_before_a_file_is_written(
    tmp_path: Path, bad: tarfile.TarInfo
) -> None:
    archive = archive_of(tmp_path, member("good"), bad)

    with pytest.raises(UnsafeArchive, match="more than plain files"):
        extract(archive, tmp_path / "out")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damaged", [b"no archive", b"\x1f\x8b\x08"])
def test_what_is_damaged_is_named(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(damaged)

    with pytest.raises(UnsafeArchive, match=r"cannot unpack a\.tar\.gz"):
        extract(tmp_path / "a.tar.gz", tmp_path / "out")
