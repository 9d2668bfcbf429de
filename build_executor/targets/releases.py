"""The releases of a target's services on disk, with their state and their deploy lock.

<service>/releases/<id>/   one release, whole or absent: source, .venv
<service>/current          the live one, a symlink switched by rename
<service>/shared/          what outlives releases: data, logs
<service>/state.json       what is live, what is proven
<service>/deploy.lock      flock'ed while somebody deploys; never removed
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from build_executor.archives import extract
from build_executor.errors import DeployLocked, DeploymentFailed, UnsafeArchive
from build_executor.files import remove_at_once, switch_link, write_atomically
from build_executor.models import Release
from build_executor.reserve import keep_reserve, with_reserve
from build_executor.targets.state import ServiceState

_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_POLL_SECONDS = 0.05
CONFINED = ".confined"
"""In a release's folder: it holds code that a model wrote, so it runs in a sandbox only."""


class FileLedger:
    """The state of one service while its lock is held, in a file."""

    def __init__(self, store: "ReleaseStore", state: ServiceState) -> None:
        self._store, self._state = store, state

    @property
    def state(self) -> ServiceState:
        """What was recorded last."""
        return self._state

    def record(self, state: ServiceState) -> None:
        """Keep `state` and let `current` follow; DeployLocked if a later lock was taken."""
        if self._store.read(state.service).fence > self._state.fence:
            raise DeployLocked(f"somebody else has taken over the deployment of {state.service}")
        self._store.write(state)
        self._state = state


class ReleaseStore:
    """All services below one folder."""

    def __init__(self, root: Path, *, lock_seconds: float) -> None:
        self._root, self._lock_seconds = root, lock_seconds

    def services(self) -> list[str]:
        """The services that were ever deployed here."""
        return sorted(file.parent.name for file in self._root.glob("*/state.json"))

    def folder(self, service: str, release_id: str) -> Path:
        """Where this release is, or would be."""
        return self._folder(service) / "releases" / release_id

    def shared(self, service: str, name: str) -> Path:
        """A private folder that outlives the service's releases."""
        folder = self._folder(service) / "shared" / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def read(self, service: str) -> ServiceState:
        """What is recorded of this service; empty for an unknown one."""
        try:
            return ServiceState.model_validate_json(self._state_file(service).read_bytes())
        except FileNotFoundError:
            return ServiceState(service=service)
        except ValidationError as error:
            message = f"the state of {service} is damaged: {self._state_file(service)}"
            raise DeploymentFailed(message) from error

    def write(self, state: ServiceState) -> None:
        """Keep the state and point `current` at what is live."""
        file, content = self._state_file(state.service), state.model_dump_json(indent=2).encode()
        with_reserve(self._root, lambda: write_atomically(file, content))
        target = None if state.live is None else Path("releases") / state.live
        switch_link(self._folder(state.service) / "current", target)

    @contextlib.contextmanager
    def locked(self, service: str, build_id: str) -> Iterator[FileLedger]:
        """The deploy lock; the kernel frees it when its holder dies. DeployLocked names the holder.

        The file is never removed: whoever waits for a removed file holds a lock of nothing.
        """
        file = self._folder(service) / "deploy.lock"
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with file.open("a+") as lock:
            self._acquire(lock, service)
            with_reserve(self._root, lambda: _sign(lock, build_id))
            state = self.read(service)
            state = state.model_copy(update={"fence": state.fence + 1})
            self.write(state)
            try:
                yield FileLedger(self, state)
            finally:
                lock.truncate(0)

    def is_installed(self, service: str, release_id: str) -> bool:
        """Whether this release is there, whole."""
        return self.folder(service, release_id).exists()

    def install(self, release: Release) -> None:
        """Unpack archive and environment, and put them in place by rename.

        DeploymentFailed if the archive is not the one that was built, or holds more than files.
        """
        folder = self.folder(release.service, release.id)
        if folder.exists():
            return
        check_digest(release)
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for remnant in folder.parent.glob(".*"):  # of installers that were killed: we have the lock
            shutil.rmtree(remnant)
        staging = folder.with_name(f".{release.id}.{secrets.token_hex(4)}")
        staging.mkdir(mode=0o700)
        try:
            unpack(release.archive, staging)
            _copy_environment(release.environment, staging / ".venv")
            if release.confined:
                (staging / CONFINED).touch()
                _let_others_read(staging)
            staging.rename(folder)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        keep_reserve(self._root)

    def remove(self, service: str, release_id: str) -> None:
        """Remove the release's files, in one step as far as others can see."""
        folder = self.folder(service, release_id)
        if folder.exists():
            remove_at_once(folder)

    def _folder(self, service: str) -> Path:
        if not _SERVICE.fullmatch(service):
            raise DeploymentFailed(f"not the name of a service: {service!r}")
        return self._root / service

    def _state_file(self, service: str) -> Path:
        return self._folder(service) / "state.json"

    def _acquire(self, lock: IO[str], service: str) -> None:
        deadline = time.monotonic() + self._lock_seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DeployLocked(f"{service} is being deployed by {_holder(lock)}") from None
                time.sleep(_POLL_SECONDS)
            else:
                return


def _sign(lock: IO[str], build_id: str) -> None:
    lock.truncate(0)
    holder = {
        "build": build_id,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    lock.write(json.dumps(holder))
    lock.flush()


def _holder(lock: IO[str]) -> str:
    lock.seek(0)
    try:
        holder = json.loads(lock.read())
    except ValueError:
        return "somebody who has only just begun"
    return "build {build} (pid {pid} on {host}, since {since})".format(**holder)


def check_digest(release: Release) -> None:
    """DeploymentFailed if the release's archive is not the one that was built."""
    with release.archive.open("rb") as archive:
        found = hashlib.file_digest(archive, "sha256").hexdigest()
    if found != release.digest:
        raise DeploymentFailed(f"the archive of {release.id} was changed: its SHA-256 is {found}")


def unpack(archive: Path, folder: Path) -> None:
    """Put the files of a release's archive below `folder`; DeploymentFailed for anything else."""
    try:
        extract(archive, folder)
    except UnsafeArchive as error:
        raise DeploymentFailed(str(error)) from error


def _let_others_read(folder: Path) -> None:
    """The sandbox's user is nobody of ours; the folders above stay closed to everybody else."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))


def _copy_environment(source: Path, destination: Path) -> None:
    """Hard-link it: a fifth of a copy's time and no space; it belongs to this build alone."""
    try:
        shutil.copytree(source, destination, symlinks=True, copy_function=os.link)
    except (OSError, shutil.Error):  # another file system, or one without hard links
        shutil.rmtree(destination, ignore_errors=True)
        shutil.copytree(source, destination, symlinks=True)
