"""What keeps an instance of a release running: a small protocol, and supervised local processes."""

import re
import shutil
from pathlib import Path
from typing import Protocol

from build_executor.sandbox import Confinement
from build_executor.sandbox.bubblewrap import Bubblewrap
from build_executor.targets.ports import private_port
from build_executor.targets.releases import CONFINED, ReleaseStore
from build_executor.targets.supervisor import ABSENT, FAILED_STATES, Program, Supervisor

_PORT = re.compile(r'\bPORT="(\d+)"')
_LOG_TAIL = 1500
_GRACE_SECONDS = 5


class Runtime(Protocol):
    """Keeps instances of installed releases running, also after whoever started them has ended."""

    def start(self, service: str, release_id: str) -> str:
        """The private address (host:port) that the instance was told to listen on."""
        ...

    def address(self, service: str, release_id: str) -> str | None:
        """The private address of the instance; None if it is not kept running."""
        ...

    def complaint(self, service: str, release_id: str) -> str | None:
        """Why the instance will not come up, or that it ended after `start`; None if all is well.

        One that crashed and was started again has ended too, as long as `start` is not repeated.
        """
        ...

    def log(self, service: str, release_id: str) -> str:
        """The end of what the instance said; empty if nothing is known of it."""
        ...

    def stop(self, service: str, release_id: str) -> None:
        """End the instance; returns when its process is gone."""
        ...


class ProcessRuntime:
    """One process a release under the target's supervisor; generated services by uvicorn."""

    def __init__(
        self, store: ReleaseStore, supervisor: Supervisor, sandbox: Bubblewrap | None = None
    ) -> None:
        self._store, self._supervisor = store, supervisor
        self._sandbox = sandbox or Bubblewrap()
        self._started: dict[str, int] = {}

    def start(self, service: str, release_id: str) -> str:
        """Start the instance, or leave it as it is if it runs."""
        name = _name(service, release_id)
        address = self.address(service, release_id)
        if address is not None and self._supervisor.state(name) in FAILED_STATES:
            self._supervisor.forget(name)  # its port may be somebody else's by now
            address = None
        port = int(address.rpartition(":")[2]) if address else private_port(self._ports())
        self._supervisor.ensure(self._program(service, release_id, port))
        self._started[name] = self._supervisor.pid(name)
        return f"127.0.0.1:{port}"

    def address(self, service: str, release_id: str) -> str | None:
        """Where the instance listens; None if it is not kept running."""
        port = _PORT.search(self._supervisor.definition(_name(service, release_id)) or "")
        return f"127.0.0.1:{port[1]}" if port else None

    def complaint(self, service: str, release_id: str) -> str | None:
        """The end of its log if it ended."""
        what = self._misfortune(_name(service, release_id))
        return what and f"{what}: {self.log(service, release_id) or 'it said nothing'}"

    def _misfortune(self, name: str) -> str | None:
        """Its process knows first: a supervisor takes its time, or is being started again."""
        started = self._started.get(name)
        if not started:
            state = self._supervisor.state(name)
            return "its process ended" if state in {*FAILED_STATES, ABSENT} else None
        pid = self._supervisor.pid(name)
        if pid == started:
            return None
        return "its process ended and was started again" if pid else "its process ended"

    def log(self, service: str, release_id: str) -> str:
        """The last lines of its log file."""
        try:
            said = self._log(service, release_id).read_bytes()[-_LOG_TAIL:]
        except FileNotFoundError:
            return ""
        return said.decode(errors="replace").strip()

    def stop(self, service: str, release_id: str) -> None:
        """End the instance for good."""
        self._supervisor.forget(_name(service, release_id))

    def _program(self, service: str, release_id: str, port: int) -> Program:
        folder, data = self._store.folder(service, release_id), self._store.shared(service, "data")
        environment = {
            "PORT": str(port),
            "RELEASE_ID": release_id,
            "DATA_DIR": str(data),
            "HOME": str(data),
            "PYTHONUNBUFFERED": "1",
        }
        argv = _serve(folder, port)
        is_confined = (folder / CONFINED).exists()  # the sandbox has limits of its own
        argv = (
            self._confined(argv, folder, data, environment) if is_confined else (*_limits(), *argv)
        )
        return Program(
            name=_name(service, release_id),
            argv=argv,
            directory=folder,
            environment=environment,
            log=self._log(service, release_id),
            stop_seconds=2 * _GRACE_SECONDS,
        )

    def _confined(
        self, argv: tuple[str, ...], folder: Path, data: Path, environment: dict[str, str]
    ) -> tuple[str, ...]:
        """It sees its release, may write its data, and reaches the services that it needs."""
        data.mkdir(parents=True, exist_ok=True)
        return self._sandbox.service_argv(
            argv,
            Confinement(
                workdir=folder,
                writable=(data,),
                environment={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
                host_network=True,
            ),
        )

    def _ports(self) -> set[int]:
        definitions = map(self._supervisor.definition, self._supervisor.programs())
        return {int(port) for text in definitions for port in _PORT.findall(text or "")}

    def _log(self, service: str, release_id: str) -> Path:
        return self._store.shared(service, "logs") / f"{release_id}.log"


def _name(service: str, release_id: str) -> str:
    return f"{service}@{release_id}"


def _serve(folder: Path, port: int) -> tuple[str, ...]:
    return (
        *(str(folder / ".venv/bin/python"), "-m", "uvicorn", "app.main:app"),
        *("--host", "127.0.0.1", "--port", str(port), "--no-server-header"),
        *("--timeout-graceful-shutdown", str(_GRACE_SECONDS)),
    )


def _limits() -> tuple[str, ...]:
    """Where util-linux is installed: no core dumps, and no more open files than it takes."""
    prlimit = shutil.which("prlimit", path="/usr/bin:/bin")
    return (prlimit, "--core=0", "--nofile=4096", "--") if prlimit else ()
