"""Containers instead of processes, on a host that is otherwise the same.

Releases that were installed before, as processes, stay what they are: the way back to them is open,
and the first container replaces a process without a gap.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path, PurePath
from typing import NamedTuple

from build_executor.models import Release
from build_executor.settings import Settings
from build_executor.targets.docker_engine import DockerEngine
from build_executor.targets.docker_images import ReleaseImages
from build_executor.targets.docker_network import check_reach, is_interface_here
from build_executor.targets.docker_runtime import DockerRuntime, Lend, end_all
from build_executor.targets.host import Parts
from build_executor.targets.runtime import Runtime
from build_executor.targets.state import ServiceState
from build_executor.targets.store import Ledger, Store

_NOBODY = 65_532


class ImageStore:
    """A store whose releases are images; locks, states and shared folders are another store's.

    Nothing is installed where `check` raises.
    """

    def __init__(
        self, images: ReleaseImages, files: Store, check: Callable[[], None] = lambda: None
    ) -> None:
        self._images, self._files, self._check = images, files, check

    def services(self) -> list[str]:
        """The services that were ever deployed here."""
        return self._files.services()

    def folder(self, service: str, release_id: str) -> PurePath:
        """Where a release that is files would be."""
        return self._files.folder(service, release_id)

    def shared(self, service: str, name: str) -> PurePath:
        """A private folder of the host that outlives the service's releases."""
        return self._files.shared(service, name)

    def read(self, service: str) -> ServiceState:
        """What is recorded of this service."""
        return self._files.read(service)

    def locked(self, service: str, build_id: str) -> AbstractContextManager[Ledger]:
        """The deploy lock of the service."""
        return self._files.locked(service, build_id)

    def is_installed(self, service: str, release_id: str) -> bool:
        """Whether it has an image, or its files are there."""
        in_image = self._images.find(service, release_id) is not None
        return in_image or self._files.is_installed(service, release_id)

    def install(self, release: Release) -> None:
        """Build its image, whole or not at all."""
        self._check()
        self._images.build(release)

    def remove(self, service: str, release_id: str) -> None:
        """Remove its image, or its files."""
        self._images.remove(service, release_id)
        self._files.remove(service, release_id)


class ContainersOrProcesses:
    """Runs a release that has an image in a container, and any other one as it was run before."""

    def __init__(self, images: ReleaseImages, containers: Runtime, processes: Runtime) -> None:
        self._images, self._containers, self._processes = images, containers, processes

    def start(self, service: str, release_id: str) -> str:
        """Start the instance, or leave it as it is if it runs."""
        return self._of(service, release_id).start(service, release_id)

    def address(self, service: str, release_id: str) -> str | None:
        """Where the instance listens; None if it is not kept running."""
        return self._of(service, release_id).address(service, release_id)

    def complaint(self, service: str, release_id: str) -> str | None:
        """How the instance ended, if it did."""
        return self._of(service, release_id).complaint(service, release_id)

    def log(self, service: str, release_id: str) -> str:
        """The end of what the instance said."""
        return self._of(service, release_id).log(service, release_id)

    def stop(self, service: str, release_id: str) -> None:
        """End the instance for good."""
        self._of(service, release_id).stop(service, release_id)

    def _of(self, service: str, release_id: str) -> Runtime:
        has_image = self._images.find(service, release_id) is not None
        return self._containers if has_image else self._processes


def scope_of(root: PurePath) -> str:
    """What tells the containers and images of the services below `root` from others."""
    return sha256(str(root).encode()).hexdigest()[:12]


class Machine(NamedTuple):
    """Where containers shall run: its name, what else runs releases there, how it is asked.

    `lend` says as which user of it they run.
    """

    name: str
    instead: str
    lend: Lend
    has_interface: Callable[[str], bool]


class Containers:
    """The containers of one machine; `root` is where its services are: others have other roots."""

    def __init__(
        self, engine: DockerEngine, root: PurePath, settings: Settings, machine: Machine
    ) -> None:
        self.engine, self.lend = engine, machine.lend
        self.scope = scope_of(root)
        self._machine, self._is_reached = machine, False
        self._images = ReleaseImages(engine, self.scope, settings)

    def contain(self, parts: Parts) -> Parts:
        """The same host with its next releases in containers."""
        containers = DockerRuntime(self.engine, self._images, parts.store, self.lend)
        return parts._replace(
            store=ImageStore(self._images, parts.store, self.check_reach),
            runtime=ContainersOrProcesses(self._images, containers, parts.runtime),
        )

    def check_reach(self) -> None:
        """DeploymentFailed, with what to do, if containers cannot be reached by their addresses."""
        if self._is_reached:
            return
        name, instead, _, has_interface = self._machine
        with self.engine.client() as client:
            check_reach(client, has_interface, name, instead)
        self._is_reached = True

    def end_all(self) -> None:
        """End them all; each is made again when its release is started."""
        end_all(self.engine, self.scope)


def containers_here(settings: Settings) -> Containers:
    """The containers of this machine."""
    engine = DockerEngine(settings.docker_host)
    machine = Machine("this machine", "DOCKER=false", lend_here, is_interface_here)
    return Containers(engine, settings.services, settings, machine)


def lend_here(folder: PurePath) -> str:
    """Containers run as we do; where we are root, as nobody, whose the folder becomes."""
    if os.geteuid() != 0:
        return f"{os.geteuid()}:{os.getegid()}"
    for path in (Path(folder), *Path(folder).rglob("*")):
        os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)
    return f"{_NOBODY}:{_NOBODY}"
