"""The local target: this machine, supervised processes, the embedded switch."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from build_executor.errors import BuildExecutorError, DeploymentFailed
from build_executor.models import Release, Value
from build_executor.settings import Settings
from build_executor.targets.availability import Watch
from build_executor.targets.ports import PortBook
from build_executor.targets.probing import await_release, release_at
from build_executor.targets.releases import FileLedger, ReleaseStore
from build_executor.targets.runtime import ProcessRuntime, Runtime
from build_executor.targets.state import ServiceState
from build_executor.targets.supervisor import Supervisor
from build_executor.targets.switch import EmbeddedSwitch, Route, Switch
from build_executor.targets.target import PublicAddress

_log = logging.getLogger(__name__)


class Patience(Value):
    """How long the target waits, in seconds, before it gives up."""

    start: float = 30
    switch: float = 10
    drain: float = 5
    lock: float = 60


class LocalTarget:
    """Keeps the promises of `Target` below one folder of this machine."""

    name = "local"

    def __init__(
        self, root: Path, *, keep_releases: int = 5, patience: Patience | None = None
    ) -> None:
        self.keep_releases = keep_releases
        self._patience = patience or Patience()
        self._fences: dict[str, int] = {}
        self.supervisor = Supervisor(_supervisor_folder(root))
        self._store = ReleaseStore(root, lock_seconds=self._patience.lock)
        self._ports = PortBook(root / ".ports.json")
        self._runtime: Runtime = ProcessRuntime(self._store, self.supervisor)
        self._switch: Switch = EmbeddedSwitch(root / ".switch", self.supervisor)

    @contextmanager
    def locked(self, service: str, build_id: str) -> Iterator[FileLedger]:
        """The deploy lock of the service; the kernel frees it when its holder dies."""
        with self._store.locked(service, build_id) as ledger:
            self._fences[service] = ledger.state.fence
            yield ledger

    def read(self, service: str) -> ServiceState:
        """What is recorded of the service."""
        return self._store.read(service)

    def reserve_port(self, service: str, wanted: int | None) -> int:
        """The service's public port, of 8300-8999 if it wants no other."""
        routed = {name: route.port for name, route in self._switch.routes().items()}
        return self._ports.reserve(service, wanted, routed)

    def install(self, release: Release) -> None:
        """Unpack the release beside the others."""
        self._store.install(release)

    def start(self, service: str, release_id: str) -> str:
        """The private address of the release, once it answers there with its marker."""
        if not self._store.folder(service, release_id).exists():
            raise DeploymentFailed(f"{service} {release_id} is not installed")
        url = f"http://{self._runtime.start(service, release_id)}"
        await_release(
            url,
            release_id,
            self._patience.start,
            lambda: self._runtime.complaint(service, release_id),
        )
        return url

    def switch(self, service: str, release_id: str, port: int) -> PublicAddress:
        """Point the public port at the release; returns once its marker is read there."""
        upstream = self._runtime.address(service, release_id)
        if upstream is None:
            raise DeploymentFailed(f"{service} {release_id} does not run")
        fence = self._fences.get(service, 0)
        route = Route(
            service=service, port=port, upstream=upstream, release=release_id, fence=fence
        )
        url = f"http://127.0.0.1:{port}"
        if release_at(url) in {None, release_id}:
            self._move(route, url)
            return PublicAddress(url=url)
        with Watch(url) as watch:
            self._move(route, url)
        return PublicAddress(url=url, availability=watch.result())

    def stop(self, service: str, release_id: str) -> None:
        """Let its last requests end, then end its process."""
        upstream = self._runtime.address(service, release_id)
        if upstream is not None:
            self._switch.drain(upstream, self._patience.drain)
        self._runtime.stop(service, release_id)

    def archive(self, service: str, release_id: str) -> None:
        """Take the release off; what it logged stays in the service's `shared/logs`."""
        route = self._switch.routes().get(service)
        if route is not None and route.release == release_id:
            self._switch.remove(service, self._fences.get(service, 0))
        self.stop(service, release_id)
        self._store.remove(service, release_id)

    def recover(self) -> None:
        """Bring every live release and its public address back, after a reboot for example."""
        if not self.supervisor.programs():
            return
        self.supervisor.start()
        for service in self._store.services():
            try:
                self._revive(service)
            except BuildExecutorError as error:
                _log.warning("cannot bring %s back: %s", service, error)

    def _move(self, route: Route, url: str) -> None:
        self._switch.point(route)
        await_release(url, route.release, self._patience.switch, lambda: None)

    def _revive(self, service: str) -> None:
        with self.locked(service, "recovery") as ledger:
            live = ledger.state.live_release
            if live is not None:
                self.start(service, live.id)
                self.switch(service, live.id, live.port)


def local_supervisor_up(settings: Settings) -> None:
    """Bring the deployed services back; nothing starts if none was ever deployed."""
    LocalTarget(settings.services).recover()


def local_supervisor_down(settings: Settings) -> None:
    """End the deployed services, the switch and their supervisor, and nothing else."""
    Supervisor(_supervisor_folder(settings.services)).shut_down()


def _supervisor_folder(root: Path) -> Path:
    """Ours begin with a dot, which no service's name does: one may well be called `switch`."""
    return root / ".supervisor"
