"""A release's packages for a Python that is not ours: of an image, or of another host.

Made once per lock and platform, from wheels only and by hash, and packed as one tar.gz: whoever
ships it needs no installer and no network where the service runs. No bytecode is in it, since that
belongs to one version of Python; it is compiled where the packages are put.
"""

import gzip
import hashlib
import logging
import os
import secrets
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from build_executor.environment import put_environment, requirement_findings, uv
from build_executor.errors import CommandFailed, DeploymentFailed
from build_executor.models import Finding, Value
from build_executor.settings import Settings

_PACKAGES, _ARCHIVE, _DIGEST = "packages", "packages.tar.gz", "packages.sha256"
_FAST = 3  # of gzip's levels: 9 saves 4 % and takes five times as long
_EXECUTABLE, _READABLE = 0o755, 0o644
_log = logging.getLogger(__name__)


class Platform(Value):
    """A Python on Linux with the GNU C library: its version ("3.11") and machine ("x86_64")."""

    python: str
    machine: str


class Dependencies(Value):
    """The packages of one lock for one platform; `key` names them, everywhere.

    `folder` belongs on PYTHONPATH; `archive` holds what is in it, and `digest` is its SHA-256.
    """

    key: str
    folder: Path
    archive: Path
    digest: str


def vendored_dependencies(
    requirements: Path, platform: Platform, settings: Settings
) -> Dependencies:
    """The packages that `requirements` locks, for this platform; made if they are not kept yet.

    DeploymentFailed for a requirement that is not a pinned, hashed package of the index, and for
    one that has no wheel for the platform.
    """
    _refuse_unlocked(requirements)
    key = _key(requirements, platform)
    kept = settings.cache / "dependencies" / key
    if not kept.is_dir():
        _make(requirements, platform, kept, settings)
    os.utime(kept)  # it is used now, and kept
    digest = (kept / _DIGEST).read_text()
    return Dependencies(key=key, folder=kept / _PACKAGES, archive=kept / _ARCHIVE, digest=digest)


def _refuse_unlocked(requirements: Path) -> None:
    if not requirements.is_file():
        raise DeploymentFailed("the release has no requirements.txt")
    if findings := requirement_findings(requirements.read_text()):
        raise DeploymentFailed("the dependencies of the release are not locked", findings)


def _key(requirements: Path, platform: Platform) -> str:
    parts = (platform.python, platform.machine, requirements.read_text())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _make(requirements: Path, platform: Platform, kept: Path, settings: Settings) -> None:
    """Make them beside their place and rename them there: they are complete or absent."""
    draft = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
    draft.mkdir(parents=True, mode=0o700)
    try:
        _install(requirements, platform, draft / _PACKAGES, settings)
        _pack(draft / _PACKAGES, draft / _ARCHIVE)
        (draft / _DIGEST).write_text(_digest(draft / _ARCHIVE))
        put_environment(draft, kept)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _install(requirements: Path, platform: Platform, folder: Path, settings: Settings) -> None:
    locked = ("--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", requirements)
    where = ("--python-version", platform.python, "--python-platform", _uv_platform(platform))
    try:
        into = ("--python", sys.executable, "--target", folder)
        said = uv(("pip", "install", *into, *where, *locked), settings)
    except CommandFailed as error:
        message = " / ".join(error.output.strip().splitlines()[-6:])
        finding = Finding(gate="requirements", rule="install", message=message)
        name = f"Python {platform.python} on {platform.machine}"
        raise DeploymentFailed(
            f"the dependencies cannot be had as wheels for {name}", [finding]
        ) from error
    _log.info("packages for %s on %s: %s", platform.python, platform.machine, said.strip())
    folder.mkdir(exist_ok=True)  # uv makes none when there is nothing to install
    shutil.rmtree(folder / "bin", ignore_errors=True)  # scripts for the Python of this machine
    (folder / ".lock").unlink(missing_ok=True)


def _uv_platform(platform: Platform) -> str:
    """Wheels for glibc 2.28 and later: every Debian since 10 and RHEL since 8."""
    return f"{platform.machine}-manylinux_2_28"


def _pack(folder: Path, archive: Path) -> None:
    """The same files give the same bytes: sorted, of nobody, of no time."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", _FAST, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for path, member in _members(folder):
            if path.is_dir():
                tar.addfile(member)
                continue
            with path.open("rb") as content:
                tar.addfile(member, content)


def _members(folder: Path) -> Iterator[tuple[Path, tarfile.TarInfo]]:
    for path in sorted(folder.rglob("*")):
        member = tarfile.TarInfo(path.relative_to(folder).as_posix())
        is_executable = path.is_dir() or path.stat().st_mode & 0o100
        member.mode = _EXECUTABLE if is_executable else _READABLE
        if path.is_dir():
            member.type = tarfile.DIRTYPE
        else:
            member.size = path.stat().st_size
        yield path, member


def _digest(archive: Path) -> str:
    with archive.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
