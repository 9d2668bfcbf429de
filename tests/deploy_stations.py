"""Targets of every kind to deploy to and to hit, each in a folder of its own.

A station knows how its parts can be killed: its switch, the live instance, and what keeps that one
running.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

import docker
import psutil
import pytest
from docker.models.containers import Container

from build_executor.models import Release
from build_executor.settings import Settings
from build_executor.targets.host import HostTarget, Patience
from build_executor.targets.local import LocalTarget, local_supervisor_down, local_target
from build_executor.targets.production import production_targets
from tests.debian_image import debian_image
from tests.docker_engine import remove_images, running_engine
from tests.docker_host import docker_host
from tests.production_host import ProductionHost, start_host

Part = Literal["switch", "instance", "supervisor"]
START_SECONDS = 10
_PATIENCE = Patience(start=START_SECONDS)
_MEBIBYTE = 2**20


# What docs/production.md advises, so that a killed manager of the user's services comes back.
_ADVICE = """
mkdir -p /etc/systemd/system/user@.service.d
printf '[Service]\\nRestart=always\\nRestartSec=100ms\\n' \\
    > /etc/systemd/system/user@.service.d/restart.conf
systemctl daemon-reload
"""


_ASK = """
import json, socket
asked = socket.socket(socket.AF_UNIX)
asked.connect("/srv/apps/.switch/admin.sock")
asked.sendall(b"{\\"do\\": \\"status\\"}\\n")
print(json.loads(asked.makefile().readline())["pid"])
"""


class Missing(Exception):
    """This machine cannot run that target; says why."""


class Station(Protocol):
    """A target that can be hit."""

    @property
    def target(self) -> HostTarget:
        """Where releases are deployed."""
        ...

    def kill(self, part: Part, release: Release) -> None:
        """End one part with SIGKILL."""
        ...

    def switch_mebibytes(self) -> float:
        """The memory that is resident of the switch."""
        ...

    def recover(self) -> None:
        """What an operator or a boot does when the supervisor is gone."""
        ...


class _Local:
    """This machine: processes."""

    def __init__(self, target: LocalTarget) -> None:
        self.target = target

    def kill(self, part: Part, release: Release) -> None:
        os.kill(self._pid(part, release), signal.SIGKILL)

    def switch_mebibytes(self) -> float:
        pids = [self.target.supervisor.pid(name) for name in ("switch", "switch-spare")]
        return sum(psutil.Process(pid).memory_info().rss for pid in pids) / _MEBIBYTE

    def recover(self) -> None:
        self.target.recover()

    def _pid(self, part: Part, release: Release) -> int:
        supervisor = self.target.supervisor
        if part == "supervisor":
            return int((supervisor.folder / "supervisord.pid").read_text())
        if part == "switch":
            return _listener(release.port)
        return supervisor.pid(f"{release.service}@{release.id}")


class _Containers(_Local):
    """This machine: containers behind the same switch."""

    def __init__(self, target: LocalTarget, engine: str) -> None:
        super().__init__(target)
        self._engine = engine

    def _pid(self, part: Part, release: Release) -> int:
        if part == "switch":
            return _listener(release.port)
        return _container_pid(self._engine, part, release)


class _RemoteContainers:
    """A host that is entered over SSH, but whose engine and network are those of this machine."""

    def __init__(self, target: HostTarget, settings: Settings, engine: str) -> None:
        self.target, self._settings, self._engine = target, settings, engine

    def kill(self, part: Part, release: Release) -> None:
        if part == "switch":
            os.kill(_listener(release.port), signal.SIGKILL)
        else:
            os.kill(_container_pid(self._engine, part, release), signal.SIGKILL)

    def switch_mebibytes(self) -> float:
        with contextlib.closing(docker.DockerClient(base_url=self._engine)) as client:
            pids = [
                client.api.inspect_container(container.id)["State"]["Pid"]
                for container in self._containers(client)
                if "build-executor.switch" in container.labels
            ]
        processes = [child for pid in pids for child in psutil.Process(pid).children()]
        return sum(process.memory_info().rss for process in processes) / _MEBIBYTE

    def recover(self) -> None:
        """Nothing: the engine brings all of it back."""

    def remove(self) -> None:
        """Take everything off this machine's engine."""
        with contextlib.closing(docker.DockerClient(base_url=self._engine)) as client:
            for container in self._containers(client):
                container.remove(force=True)
        on_engine = self._settings.model_copy(update={"docker_host": self._engine})
        remove_images(on_engine, on_engine.production_root)

    def _containers(self, client: docker.DockerClient) -> list[Container]:
        root = str(self._settings.production_root)
        found = client.containers.list(all=True, filters={"label": "build-executor.scope"})
        return [c for c in found if any(root in bind for bind in c.attrs["HostConfig"]["Binds"])]


class _Remote:
    """A host that is entered over SSH: units of an unprivileged user's systemd."""

    _SWITCHES = ("build-executor-switch", "build-executor-switch-spare")
    _AS_DEPLOY = "XDG_RUNTIME_DIR=/run/user/1000 systemctl --user show --property MainPID --value"

    def __init__(self, target: HostTarget, host: ProductionHost) -> None:
        self.target, self._host = target, host

    def kill(self, part: Part, release: Release) -> None:
        self._host.run(f"kill -9 {self._pid(part, release)}")

    def switch_mebibytes(self) -> float:
        pids = [self._unit_pid(unit) for unit in self._SWITCHES]
        statuses = [self._host.run(f"grep VmRSS /proc/{pid}/status") for pid in pids]
        return sum(int(status.split()[1]) for status in statuses) / 1024

    def recover(self) -> None:
        """Nothing: it comes back by itself."""

    def _pid(self, part: Part, release: Release) -> int:
        if part == "supervisor":
            return int(self._host.run("systemctl show --property MainPID --value user@1000"))
        if part == "switch":
            return self._switch_pid()
        return self._unit_pid(f"build-executor-{release.service}@{release.id}")

    def _switch_pid(self) -> int:
        """The one that forwards says so itself; its spare is asked nothing."""
        return int(self._host.run(f"python3 -c '{_ASK}'", user="deploy"))

    def _unit_pid(self, unit: str) -> int:
        return int(self._host.run(f"{self._AS_DEPLOY} '{unit}.service'", user="deploy"))


class Stations:
    """All that this machine can run; what several of them need is made once."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self._engine: str | None = None
        self.open = {
            "local process": self._processes,
            "local Docker": self._containers,
            "SSH + systemd": self._systemd,
            "SSH + Docker": self._remote_containers,
        }

    @contextlib.contextmanager
    def _processes(self) -> Iterator[Station]:
        settings = Settings(build_executor_home=self._folder / "processes")
        try:
            yield _Local(local_target(settings, _PATIENCE))
        finally:
            local_supervisor_down(settings)

    @contextlib.contextmanager
    def _containers(self) -> Iterator[Station]:
        engine = self._running_engine()
        settings = Settings(
            build_executor_home=self._folder / "containers",
            docker=True,
            docker_host=engine,
            docker_base_image=_image(engine),
        )
        try:
            target = local_target(settings, _PATIENCE)
            yield _Containers(target, engine)
        finally:
            local_supervisor_down(settings)
            remove_images(settings, settings.services)

    @contextlib.contextmanager
    def _systemd(self) -> Iterator[Station]:
        engine, home = self._running_engine(), self._folder / "systemd"
        _image(engine)
        with contextlib.closing(docker.DockerClient(base_url=engine)) as client:
            host = start_host(client, self._folder / "keys", "bench")
            host.run(_ADVICE)
            settings = Settings(
                build_executor_home=home,
                production_hosts=(host.login,),
                ssh_key_file=host.key_file,
                ssh_known_hosts=host.known_hosts,
            )
            try:
                (target,) = production_targets(settings, _PATIENCE)
                yield _Remote(target, host)
            finally:
                host.stop()

    @contextlib.contextmanager
    def _remote_containers(self) -> Iterator[Station]:
        engine, folder = self._running_engine(), self._folder / "host"
        folder.mkdir()
        with contextlib.closing(docker.DockerClient(base_url=engine)) as client:
            socket = Path(engine.removeprefix("unix://"))
            with docker_host(client, socket, folder) as settings:
                (target,) = production_targets(settings, _PATIENCE)
                station = _RemoteContainers(target, settings, engine)
                try:
                    yield station
                finally:
                    station.remove()

    def _running_engine(self) -> str:
        if self._engine is None:
            try:
                self._engine = self._stack.enter_context(running_engine(self._folder / "docker"))
            except pytest.skip.Exception as reason:
                raise Missing(str(reason)) from reason
        return self._engine


def _image(engine: str) -> str:
    with contextlib.closing(docker.DockerClient(base_url=engine)) as client:
        return debian_image(client)


def _listener(port: int | None) -> int:
    """The process of this machine that has this port open."""
    for connection in psutil.net_connections("tcp4"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,):
            return int(connection.pid or 0)
    message = f"nobody listens on {port}"
    raise LookupError(message)


def _container_pid(engine: str, part: Part, release: Release) -> int:
    """The instance in the release's container, or the shim that the container belongs to."""
    labels = [f"build-executor.service={release.service}", f"build-executor.release={release.id}"]
    with contextlib.closing(docker.DockerClient(base_url=engine)) as client:
        (container,) = client.containers.list(filters={"label": labels})
        first = psutil.Process(client.api.inspect_container(container.id)["State"]["Pid"])
    return first.ppid() if part == "supervisor" else first.children()[0].pid
