"""The folder that one build owns, and the archive that a release is made of.

An archive depends on nothing but the names and bytes of the source: the same source, packed on
another day by another user, has the same digest and is therefore the same release.
"""

import gzip
import hashlib
import io
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

from build_executor.archives import extract
from build_executor.artifacts import SOURCE_ARCHIVE, ArtifactStore
from build_executor.files import write_atomically
from build_executor.models import Workspace
from build_executor.settings import Settings

_BUILD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_NOT_PACKED = frozenset(
    {".git", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv", "__pycache__", "venv"}
)
_NOT_PACKED_ENDINGS = (".coverage", ".db", ".db-shm", ".db-wal", ".pyc")


def open_workspace(build_id: str, service: str, settings: Settings) -> Workspace:
    """The build's workspace, its folders made where missing; nobody else may look into them."""
    workspace = Workspace(build_id=build_id, service=service, path=_folder(build_id, settings))
    for folder in (settings.builds, workspace.path, workspace.source):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return workspace


def remove_workspace(build_id: str, settings: Settings) -> None:
    """Delete the build's folder; may be repeated, and never follows a link out of it."""
    folder = _folder(build_id, settings)
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)  # refuses to follow links, also ones swapped in meanwhile


def close_workspace(build_id: str, settings: Settings) -> None:
    """Keep the build's source as an artifact, then delete its workspace; may be repeated."""
    source = _folder(build_id, settings) / "source"
    if source.is_dir():
        pack(source, ArtifactStore(settings.artifacts).path(build_id, SOURCE_ARCHIVE))
    remove_workspace(build_id, settings)


def pack(source: Path, archive: Path) -> str:
    """Write `source` as a tar.gz without caches, environments and databases; its SHA-256."""
    content = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=content, mode="wb", mtime=0, filename="") as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(source_files(source)):
            tar.addfile(_entry(source, path), io.BytesIO(path.read_bytes()))
    write_atomically(archive, content.getvalue())
    return hashlib.sha256(content.getvalue()).hexdigest()


def unpack(archive: Path, folder: Path) -> Path:
    """Put an archive's files into `folder`, which is emptied first; UnsafeArchive refuses it."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o755)
    extract(archive, folder)
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o755)  # the sandbox's user reads it, whatever our umask is
    return folder


def source_files(source: Path) -> Iterator[Path]:
    """The files that an archive holds: no caches, environments, databases or links."""
    for folder, subfolders, names in os.walk(source):  # does not descend into links
        subfolders[:] = [name for name in subfolders if name not in _NOT_PACKED]
        paths = (Path(folder, name) for name in names)
        yield from (path for path in paths if _is_packed(path))


def _folder(build_id: str, settings: Settings) -> Path:
    if not _BUILD_ID.fullmatch(build_id):
        raise ValueError(f"not a build id: {build_id}")
    return settings.builds / build_id


def _is_packed(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and not path.name.endswith(_NOT_PACKED_ENDINGS)


def _entry(source: Path, path: Path) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.relative_to(source).as_posix())
    entry.size = path.stat().st_size
    entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    return entry
