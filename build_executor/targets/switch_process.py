"""The embedded switch's process on this machine, and what another machine needs to run one."""

import hashlib
import sys
import time
from pathlib import Path
from typing import Any

import build_executor
from build_executor.errors import DeploymentFailed
from build_executor.forwarder.ask import ask, insist
from build_executor.targets.supervisor import Program, Supervisor
from build_executor.targets.unix_sockets import socket_path

PUBLIC_HOST = "127.0.0.1"
_CALL_SECONDS = 5.0
_START_SECONDS = 10.0
_NAMES = ("switch", "switch-spare")
_POLL_SECONDS = 0.02
_PACKAGE = Path(build_executor.__file__).parent


def forwarder_files() -> dict[str, bytes]:
    """All that the forwarder needs beside Python 3.11, by path below a folder on PYTHONPATH."""
    files = (_PACKAGE / "__init__.py", *sorted((_PACKAGE / "forwarder").glob("*.py")))
    return {str(file.relative_to(_PACKAGE.parent)): file.read_bytes() for file in files}


def forwarder_argv(python: str, state: str, admin: str, host: str = PUBLIC_HOST) -> tuple[str, ...]:
    """The command that forwards: `state` is its file, `admin` its socket, `host` what it binds."""
    return (python, "-S", "-m", "build_executor.forwarder", state, admin, host)


def asking_argv(python: str, admin: str, seconds: float) -> tuple[str, ...]:
    """The command that reads one admin command from stdin and prints the answer."""
    return (python, "-S", "-m", "build_executor.forwarder.ask", admin, str(seconds))


class LocalSwitchProcess:
    """The forwarder under this machine's supervisor; its table is in `folder`.

    There are two of it: one forwards, and a spare waits until the first one has died. It is there
    at once, while supervisord needs a second to notice.
    """

    def __init__(self, folder: Path, supervisor: Supervisor) -> None:
        self._folder, self._supervisor = folder, supervisor
        self._admin = socket_path(folder, "admin.sock")

    def exists(self) -> bool:
        """Whether it ever had a route."""
        return self._state.exists()

    def ensure_running(self) -> None:
        """Return when it answers; DeploymentFailed if it does not come up."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in self._spare_first():
            self._ensure(name)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise DeploymentFailed(f"the switch does not start: see {self._folder}/switch.log")
            time.sleep(_POLL_SECONDS)

    def ask(self, command: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Its answer; DeploymentFailed if it has none."""
        try:
            return insist(self._admin, command, seconds)
        except OSError as error:
            raise DeploymentFailed(f"the switch does not answer: {error}") from error

    def _spare_first(self) -> list[str]:
        """So that another version of the one that forwards hands over to another version."""
        try:
            now = ask(self._admin, {"do": "status"}, _CALL_SECONDS).get("pid")
        except OSError:
            return list(_NAMES)
        return sorted(_NAMES, key=lambda name: self._supervisor.pid(name) == now)

    def _ensure(self, name: str) -> None:
        program = self._program(name)
        is_other = self._supervisor.definition(name) not in {None, program.render()}
        self._supervisor.ensure(program)
        deadline = time.monotonic() + _START_SECONDS
        while is_other and not self._waits(name) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _waits(self, name: str) -> bool:
        waiting = self._state.with_name(f"{self._state.name}.waiting")
        return waiting.exists() and waiting.read_text() == str(self._supervisor.pid(name))

    @property
    def _state(self) -> Path:
        return self._folder / "routes.json"

    def _program(self, name: str) -> Program:
        return Program(
            name=name,
            argv=forwarder_argv(sys.executable, str(self._state), str(self._admin)),
            directory=self._folder,
            # the version, since another program is what makes the supervisor start it anew
            environment={"PYTHONPATH": str(_PACKAGE.parent), "FORWARDER_VERSION": _version()},
            log=self._folder / f"{name}.log",
            stop_seconds=5,
            is_first=True,
        )

    def _answers(self) -> bool:
        try:
            return bool(ask(self._admin, {"do": "status"}, _CALL_SECONDS)["ok"])
        except OSError:
            return False


def _version() -> str:
    files = forwarder_files()
    return hashlib.sha256(b"".join(files[name] for name in sorted(files))).hexdigest()[:12]
