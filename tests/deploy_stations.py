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

from build_executor.models import Release
from build_executor.settings import Settings
from build_executor.targets.host import HostTarget, Patience
from build_executor.targets.local import LocalTarget, local_supervisor_down, local_target
from build_executor.targets.production import production_targets
from tests.debian_image import debian_image
from tests.docker_engine import remove_images, running_engine
from tests.production_host import ProductionHost, start_host

Part = Literal["switch", "instance", "supervisor"]
START_SECONDS = 5
_PATIENCE = Patience(start=START_SECONDS)
_MEBIBYTE = 2**20


# What docs/production.md advises, so that a killed manager of the user's services comes back.
_ADVICE = """
mkdir -p /etc/systemd/system/user@.service.d
printf '[Service]\\nRestart=always\\nRestartSec=100ms\\n' \\
    > /etc/systemd/system/user@.service.d/restart.conf
systemctl daemon-reload
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

    def __init__(self, target: LocalTarget, home: Path) -> None:
        self.target, self.home = target, home

    def kill(self, part: Part, release: Release) -> None:
        os.kill(self._pid(part, release), signal.SIGKILL)

    def switch_mebibytes(self) -> float:
        memory = psutil.Process(self.target.supervisor.pid("switch")).memory_info()
        return float(memory.rss) / _MEBIBYTE

    def recover(self) -> None:
        self.target.recover()

    def _pid(self, part: Part, release: Release) -> int:
        supervisor = self.target.supervisor
        if part == "supervisor":
            return int((supervisor.folder / "supervisord.pid").read_text())
        name = "switch" if part == "switch" else f"{release.service}@{release.id}"
        return supervisor.pid(name)


class _Containers(_Local):
    """This machine: containers behind the same switch."""

    def __init__(self, target: LocalTarget, home: Path, engine: str) -> None:
        super().__init__(target, home)
        self._engine = engine

    def _pid(self, part: Part, release: Release) -> int:
        if part == "switch":
            return super()._pid(part, release)
        labels = [f"build-executor.{k}" for k in (f"service={release.service}",)]
        labels.append(f"build-executor.release={release.id}")
        with contextlib.closing(docker.DockerClient(base_url=self._engine)) as client:
            (container,) = client.containers.list(filters={"label": labels})
            pid = int(client.api.inspect_container(container.id)["State"]["Pid"])
        first = psutil.Process(pid)
        return first.ppid() if part == "supervisor" else first.children()[0].pid


class _Remote:
    """A host that is entered over SSH: units of an unprivileged user's systemd."""

    _AS_DEPLOY = "XDG_RUNTIME_DIR=/run/user/1000 systemctl --user show --property MainPID --value"

    def __init__(self, target: HostTarget, home: Path, host: ProductionHost) -> None:
        self.target, self.home, self._host = target, home, host

    def kill(self, part: Part, release: Release) -> None:
        self._host.run(f"kill -9 {self._pid(part, release)}")

    def switch_mebibytes(self) -> float:
        status = self._host.run(f"cat /proc/{self._unit_pid('build-executor-switch')}/status")
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(resident.split()[1]) / 1024

    def recover(self) -> None:
        self._host.run("systemctl restart user@1000")

    def _pid(self, part: Part, release: Release) -> int:
        if part == "supervisor":
            return int(self._host.run("systemctl show --property MainPID --value user@1000"))
        if part == "switch":
            return self._unit_pid("build-executor-switch")
        return self._unit_pid(f"build-executor-{release.service}@{release.id}")

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
        }

    @contextlib.contextmanager
    def _processes(self) -> Iterator[Station]:
        settings = Settings(build_executor_home=self._folder / "processes")
        try:
            yield _Local(local_target(settings, _PATIENCE), settings.build_executor_home)
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
            yield _Containers(target, settings.build_executor_home, engine)
        finally:
            local_supervisor_down(settings)
            remove_images(settings)

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
                yield _Remote(target, home, host)
            finally:
                host.stop()

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
