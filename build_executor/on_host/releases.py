"""Releases and their packages on this host: each is in its place whole or not at all."""

import compileall
import contextlib
import hashlib
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from build_executor.files import remove_at_once, remove_path
from build_executor.on_host.ledger import changing
from build_executor.on_host.places import Places, Refused
from build_executor.plain_files import NotPlain, unpack
from build_executor.reserve import keep_reserve

_CHUNK = 256 * 1024
_RELEASE_FILES, _RELEASE_BYTES = 10_000, 64 * 2**20
_PACKAGE_FILES, _PACKAGE_BYTES = 100_000, 2 * 2**30
_SPARE_BYTES = 64 * 2**20
_UNPACKED = 6  # times what is packed: the files and their bytecode
_UNUSED_SECONDS = 24 * 3600
_KEPT_LOGS = 20
PACKAGES = ".packages"
"""The link in a release to the packages that it is locked to."""


def is_installed(places: Places, service: str, release: str) -> bool:
    """Whether the release is there, whole."""
    return places.release(service, release).is_dir()


def has_packages(places: Places, key: str) -> bool:
    """Whether the packages of this lock are there, whole."""
    return places.dependencies(key).is_dir()


def put_packages(places: Places, key: str, digest: str, size: int, stream: IO[bytes]) -> None:
    """Unpack the packages of one lock and compile them; it may be done twice at a time."""

    def place(draft: Path) -> None:
        try:
            draft.rename(places.dependencies(key))
        except OSError:
            if not has_packages(places, key):  # else somebody else was faster
                raise

    folder = places.dependencies(key).parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    limits = (_PACKAGE_FILES, _PACKAGE_BYTES)
    _unpack(folder, _received(folder, digest, size, stream), limits, place)


def install(
    places: Places, service: str, release: str, order: dict[str, object], stream: IO[bytes]
) -> None:
    """Unpack a release beside the others.

    `order` has its `digest`, its `size`, the `fence` of the deployment and, if it needs any, the
    key of its `packages`.
    """
    folder = places.release(service, release)
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    digest, size, fence = str(order["digest"]), int(str(order["size"])), int(str(order["fence"]))
    _tidy(places, service, fence)
    archive = _received(folder.parent, digest, size, stream)

    def place(draft: Path) -> None:
        if order.get("packages"):
            (draft / PACKAGES).symlink_to(places.dependencies(str(order["packages"])))
        with changing(places, service, fence):
            if not folder.exists():
                draft.rename(folder)

    _unpack(folder.parent, archive, (_RELEASE_FILES, _RELEASE_BYTES), place)
    keep_reserve(places.root)


def remove(places: Places, service: str, release: str, fence: int) -> None:
    """Remove a release, in one step as far as others can see, and what nobody needs any more."""
    folder = places.release(service, release)
    with changing(places, service, fence):
        if folder.exists():
            remove_at_once(folder)
    _prune_packages(places)
    _prune_logs(places.shared(service, "logs"))


def _tidy(places: Places, service: str, fence: int) -> None:
    """Remove what killed installers of this service left."""
    with changing(places, service, fence):
        for remnant in places.releases(service).glob(".*"):
            remove_path(remnant)


def _received(folder: Path, digest: str, size: int, stream: IO[bytes]) -> Path:
    """The archive in a file of `folder`; Refused if it is not the one that was announced."""
    needed, free = size * (1 + _UNPACKED) + _SPARE_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        raise Refused(
            f"too little space in {folder}: {free // 2**20} MiB are free,"
            f" {needed // 2**20} MiB are needed; remove something, or set KEEP_RELEASES lower"
        )
    archive, found = folder / f".{secrets.token_hex(4)}.tar.gz", hashlib.sha256()
    try:
        with archive.open("wb") as file:
            while chunk := stream.read(_CHUNK):
                found.update(chunk)
                file.write(chunk)
        _check(found.hexdigest(), digest)
    except BaseException:
        archive.unlink(missing_ok=True)
        raise
    return archive


def _check(found: str, digest: str) -> None:
    if found != digest:
        raise Refused("the archive did not arrive as it was sent")


def _unpack(
    folder: Path, archive: Path, limits: tuple[int, int], place: Callable[[Path], None]
) -> None:
    draft = folder / f".{secrets.token_hex(4)}"
    try:
        draft.mkdir(mode=0o755)
        unpack(archive, draft, most_files=limits[0], most_bytes=limits[1])
        archive.unlink()
        compileall.compile_dir(draft, quiet=2, stripdir=draft, workers=1)
        place(draft)
    except NotPlain as error:
        raise Refused(str(error)) from error
    finally:
        archive.unlink(missing_ok=True)
        shutil.rmtree(draft, ignore_errors=True)


def _prune_packages(places: Places) -> None:
    used = {link.resolve() for link in places.root.glob(f"*/releases/*/{PACKAGES}")}
    for folder in places.root.glob(".dependencies/*"):
        with contextlib.suppress(FileNotFoundError):  # another service's removal was faster
            is_old = time.time() - folder.stat().st_mtime > _UNUSED_SECONDS
            if folder.resolve() not in used and is_old:
                remove_path(folder)  # or an archive that a killed installer left


def _prune_logs(logs: Path) -> None:
    """What the releases of a service said last is kept of the youngest only."""
    archived = sorted(logs.glob("*.log"), key=lambda log: log.stat().st_mtime)
    for log in archived[:-_KEPT_LOGS]:
        log.unlink(missing_ok=True)
