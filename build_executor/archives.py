"""Archives are unpacked here, and only plain files come out of them.

Not `TarFile.extractall`: its safe mode came with Python 3.11.4, and whatever it gained since, an
archive of ours needs no links, owners, devices or times.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from build_executor.errors import UnsafeArchive

MOST_FILES = 10_000
MOST_BYTES = 64 * 1024 * 1024
_EXECUTABLE, _READABLE = 0o755, 0o644


def extract(archive: Path, folder: Path) -> None:
    """Put the files of a tar.gz below `folder`, readable for everybody.

    UnsafeArchive, before anything is written, for a path that leads out of `folder`, for what is
    neither a file nor a folder, for more than 10,000 entries or 64 MiB, and for what is no tar.gz.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in list(_plain(tar)):
                _write(tar, member, folder / member.name)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UnsafeArchive(f"cannot unpack {archive.name}: {error}") from error


def _plain(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    total = 0
    for number, member in enumerate(tar, start=1):
        parts = Path(member.name).parts
        if not (member.isfile() or member.isdir()) or ".." in parts or member.name.startswith("/"):
            raise UnsafeArchive(f"the archive holds more than plain files: {member.name}")
        total += member.size
        if number > MOST_FILES or total > MOST_BYTES:
            raise UnsafeArchive("the archive holds more than 10,000 entries or 64 MiB")
        yield member


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    folder = path if member.isdir() else path.parent
    folder.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    if content is not None:
        path.write_bytes(content.read())
        path.chmod(_EXECUTABLE if member.mode & 0o100 else _READABLE)
