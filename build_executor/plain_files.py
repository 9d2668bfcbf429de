"""Unpacking archives of which nothing but plain files may come; the standard library alone.

Not `TarFile.extractall`: its safe mode came with Python 3.11.4, and whatever it gained since, an
archive of ours needs no links, owners, devices or times.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

_EXECUTABLE, _READABLE = 0o755, 0o644
_CHUNK = 256 * 1024


class NotPlain(Exception):
    """The archive is damaged, too large, or holds more than plain files; the text says which."""


def unpack(archive: Path, folder: Path, *, most_files: int, most_bytes: int) -> None:
    """Put the files of a tar.gz below `folder`, readable for everybody; NotPlain before any is."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in list(_plain(tar, most_files, most_bytes)):
                _write(tar, member, folder / member.name)
    except (tarfile.TarError, EOFError) as error:
        raise NotPlain(f"cannot unpack {archive.name}: {error}") from error


def _plain(tar: tarfile.TarFile, most_files: int, most_bytes: int) -> Iterator[tarfile.TarInfo]:
    total = 0
    for number, member in enumerate(tar, start=1):
        parts = Path(member.name).parts
        if not (member.isfile() or member.isdir()) or ".." in parts or member.name.startswith("/"):
            raise NotPlain(f"the archive holds more than plain files: {member.name}")
        total += member.size
        if number > most_files or total > most_bytes:
            limit = f"{most_files:,} entries or {most_bytes // 2**20} MiB"
            raise NotPlain(f"the archive holds more than {limit}")
        yield member


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    folder = path if member.isdir() else path.parent
    folder.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    if content is None:
        return
    with path.open("wb") as file:
        while chunk := content.read(_CHUNK):
            file.write(chunk)
    path.chmod(_EXECUTABLE if member.mode & 0o100 else _READABLE)
