"""Who owns the public ports of a target: a small protocol, and the embedded switch's client."""

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import build_executor
from build_executor.errors import DeploymentFailed
from build_executor.models import Value
from build_executor.targets.supervisor import Program, Supervisor
from build_executor.targets.unix_sockets import socket_path

_CALL_SECONDS = 5.0
_START_SECONDS = 10.0
_POLL_SECONDS = 0.02


class Route(Value):
    """A service's public port and where its connections go; `upstream` is host:port.

    `fence` is the number of the deploy lock under which it is set.
    """

    service: str
    port: int
    upstream: str
    release: str
    fence: int


class Switch(Protocol):
    """Owns public ports and sends their connections to private addresses.

    DeploymentFailed when it cannot; a fence lower than the last one is refused.
    """

    def routes(self) -> dict[str, Route]:
        """What is routed now, by service."""
        ...

    def point(self, route: Route) -> None:
        """Send new connections there; the others stay where they are."""
        ...

    def remove(self, service: str, fence: int) -> None:
        """Give the service's public port back."""
        ...

    def drain(self, upstream: str, seconds: float) -> None:
        """Return when nobody waits for an answer of `upstream` any more, or time is over."""
        ...


class EmbeddedSwitch:
    """The forwarder process under the target's supervisor; started when first needed."""

    def __init__(self, folder: Path, supervisor: Supervisor) -> None:
        self._folder, self._supervisor = folder, supervisor
        self._admin = socket_path(folder, "admin.sock")

    def routes(self) -> dict[str, Route]:
        """What is routed now; the switch is started if it ever had a route."""
        if not self._state.exists():
            return {}
        self._ensure_running()
        answer = self._order({"do": "status"})
        return {
            service: Route(
                service=service,
                **{name: value for name, value in entry.items() if name != "listening"},
            )
            for service, entry in answer["routes"].items()
        }

    def point(self, route: Route) -> None:
        """Send new connections there."""
        self._ensure_running()
        self._order({"do": "point", **route.model_dump()})

    def remove(self, service: str, fence: int) -> None:
        """Give the service's public port back."""
        if service in self.routes():
            self._order({"do": "remove", "service": service, "fence": fence})

    def drain(self, upstream: str, seconds: float) -> None:
        """Return when nobody waits for an answer of `upstream` any more, or time is over."""
        if self.routes():
            command = {"do": "drain", "upstream": upstream, "seconds": seconds}
            self._order(command, seconds + _CALL_SECONDS)

    @property
    def _state(self) -> Path:
        return self._folder / "routes.json"

    def _program(self) -> Program:
        root = Path(build_executor.__file__).parent.parent
        return Program(
            name="switch",
            argv=(
                sys.executable,
                "-S",
                "-m",
                "build_executor.forwarder",
                str(self._state),
                str(self._admin),
            ),
            directory=self._folder,
            environment={"PYTHONPATH": str(root)},
            log=self._folder / "switch.log",
            stop_seconds=5,
            is_first=True,
        )

    def _ensure_running(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._supervisor.ensure(self._program())
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise DeploymentFailed(f"the switch does not start: see {self._folder}/switch.log")
            time.sleep(_POLL_SECONDS)

    def _answers(self) -> bool:
        try:
            return bool(self._ask({"do": "status"})["ok"])
        except OSError:
            return False

    def _order(self, command: dict[str, Any], timeout: float = _CALL_SECONDS) -> dict[str, Any]:
        try:
            answer = self._ask(command, timeout)
        except OSError as error:
            raise DeploymentFailed(f"the switch does not answer: {error}") from error
        if not answer["ok"]:
            raise DeploymentFailed(f"the switch refuses: {answer['error']}")
        return answer

    def _ask(self, command: dict[str, Any], timeout: float = _CALL_SECONDS) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(self._admin))
            connection.sendall(json.dumps(command).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer: dict[str, Any] = json.loads(answers.readline() or b"null") or {}
        if "ok" not in answer:
            raise ConnectionResetError("it ended before it answered")
        return answer
