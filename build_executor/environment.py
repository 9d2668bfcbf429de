"""The virtual environment of a release: wheels only, by hash, prepared once per lock.

An environment depends on the locked requirements and the interpreter alone, so it is made once and
copied for each build; the copy may be copied on (it is started as `bin/python -m ...`). Real
copies: through a hard link one build could change what the next one runs. Bytecode is compiled
when it is made, which each later start of the service saves.
"""

import hashlib
import logging
import os
import re
import secrets
import shutil
import sys
import sysconfig
from pathlib import Path

from build_executor import command
from build_executor.errors import BuildFailed, CommandFailed
from build_executor.models import Finding
from build_executor.settings import Settings, installer_environment

_INSTALL_SECONDS = 240
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9._,-]+\])?==[^\s;@]+(?:\s*;[^@]*)?")
_HASH = re.compile(r"\s--hash=sha256:[0-9a-f]{64}")
_log = logging.getLogger(__name__)


def provide_environment(requirements: Path, environment: Path, settings: Settings) -> str:
    """Make `environment` what `requirements` locks, replacing what is there; uv's words about it.

    BuildFailed for a requirement that is not a pinned, hashed package of the index, and for one
    that cannot be installed from wheels.
    """
    _refuse_unlocked(requirements)
    prepared = prepared_environment(requirements, settings)
    output = "" if prepared.is_dir() else _prepare(requirements, prepared, settings)
    os.utime(prepared)  # it is used now, and kept
    if environment.exists():
        shutil.rmtree(environment)
    shutil.copytree(prepared, environment, symlinks=True)
    return output


def prepared_environment(requirements: Path, settings: Settings) -> Path:
    """Where the environment of this lock is kept; copies of it are what builds use."""
    return settings.cache / "environments" / _key(requirements)


def lock_requirements(requirements: Path, settings: Settings) -> None:
    """Pin and hash every requirement, in place; CommandFailed if they cannot be resolved."""
    python = ("--python", sys.executable)
    options = ("--quiet", "--generate-hashes", "--only-binary", ":all:", "--no-header")
    uv(("pip", "compile", *options, *python, "-o", requirements, requirements), settings)


def requirement_findings(text: str) -> list[Finding]:
    """One finding per line that is not a pinned, hashed package; `unlocked` ones can be locked."""
    lines = re.sub(r"\\\r?\n", " ", text).splitlines()
    stripped = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return [finding for line in stripped if line and (finding := _finding(line))]


def _finding(line: str) -> Finding | None:
    bare = _HASH.sub("", line).strip()
    hashed = bare != line
    if _PINNED.fullmatch(bare):
        message = None if hashed else f"not locked by hash: {bare[:100]}"
    elif re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._\[\],<>=!~ -]*", bare):
        message = f"not pinned: {bare[:100]}"
    else:
        return _requirement("forbidden", f"only pinned packages may be named, not: {line[:100]}")
    return _requirement("unlocked", message) if message else None


def _requirement(rule: str, message: str) -> Finding:
    return Finding(gate="requirements", rule=rule, message=message, file="requirements.txt")


def _refuse_unlocked(requirements: Path) -> None:
    if not requirements.is_file():
        finding = _requirement("missing", "the source has no requirements.txt")
        raise BuildFailed("the dependencies are not known", [finding])
    if findings := requirement_findings(requirements.read_text()):
        raise BuildFailed("the dependencies are not locked", findings)


def _key(requirements: Path) -> str:
    """Of the interpreter and the requirements; the versions of uv do not matter to the result."""
    parts = (sys.version, sys.base_prefix, requirements.read_text())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _prepare(requirements: Path, prepared: Path, settings: Settings) -> str:
    """Make the environment beside its place and rename it there: it is complete or absent."""
    draft = prepared.with_name(f".{prepared.name}.{secrets.token_hex(4)}")
    draft.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    install = ("pip", "install", "--require-hashes", "--only-binary", ":all:")
    try:
        uv(("venv", "--quiet", "--relocatable", "--python", sys.executable, draft), settings)
        options = ("--compile-bytecode", "--python", draft / "bin" / "python")
        output = uv((*install, *options, "-r", requirements), settings)
        put_environment(draft, prepared)
    except CommandFailed as error:
        finding = _requirement("install", " / ".join(error.output.strip().splitlines()[-6:]))
        raise BuildFailed("the dependencies cannot be installed", [finding]) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return output


def put_environment(draft: Path, prepared: Path) -> None:
    """Move a complete draft to its place; one that is there already stays and is as good."""
    try:
        draft.rename(prepared)
    except OSError:
        if not prepared.is_dir():
            raise
        _log.info("another build prepared the same environment meanwhile")


def uv(arguments: tuple[str | Path, ...], settings: Settings) -> str:
    """What uv says; CommandFailed if it cannot do what it is told.

    It runs from `/`, so that no configuration file of a generated source is found.
    """
    program = Path(sysconfig.get_path("scripts")) / "uv"
    kept = settings.cache / "uv"
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.utime(kept)
    cache = {"UV_CACHE_DIR": str(kept), "UV_NO_PROGRESS": "1"}
    return command.run(
        [str(program), *map(str, arguments)],
        timeout=_INSTALL_SECONDS,
        cwd=Path("/"),
        environment=command.clean_environment({**installer_environment(), **cache}),
        before_exec=_readable_for_the_sandbox,
    ).output


def _readable_for_the_sandbox() -> None:  # pragma: no cover - runs between fork and exec
    """The sandbox's user must be able to read an environment, whatever our own umask is."""
    os.umask(0o022)
