"""A host as a target: a store, public ports, a runtime and a switch, wherever they are."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from build_executor.errors import BuildExecutorError, DeploymentFailed
from build_executor.models import Release, Value
from build_executor.targets.probing import await_release, release_at
from build_executor.targets.runtime import Runtime
from build_executor.targets.state import ServiceState
from build_executor.targets.store import Ledger, Store
from build_executor.targets.switch import Candidate, Counts, Route, Switch, Trial

Reach = Callable[[str], str]
"""The URL under which an address of the host (127.0.0.1:port) is reached from here."""

_log = logging.getLogger(__name__)


class Ports(Protocol):
    """The public ports of a host's services."""

    def reserve(self, service: str, wanted: int | None, routed: Mapping[str, int]) -> int:
        """The service's public port: the wanted one, or one allocated once and kept.

        `routed` are the ports that the switch serves now, by service. DeploymentFailed naming the
        port if it belongs to another service or to a foreign process.
        """
        ...


def reach_directly(address: str) -> str:
    """The URL of an address of this machine."""
    return f"http://{address}"


def public_loopback_url(port: int) -> str:
    """The public URL of a service that only this machine's users meet."""
    return f"http://127.0.0.1:{port}"


class Parts(NamedTuple):
    """What a host is made of; `public_url` is where users meet a public port.

    `trial` says who else meets a release that is offered.
    """

    store: Store
    ports: Ports
    runtime: Runtime
    switch: Switch
    reach: Reach = reach_directly
    public_url: Callable[[int], str] = public_loopback_url
    trial: Trial = Trial()


class Patience(Value):
    """How long a host is waited for, in seconds, before it is given up."""

    start: float = 30
    switch: float = 10
    drain: float = 5
    lock: float = 60


class HostTarget:
    """Keeps the promises of `Target` with the parts of one host."""

    def __init__(
        self, name: str, parts: Parts, *, keep_releases: int = 5, patience: Patience | None = None
    ) -> None:
        self.name, self.keep_releases = name, keep_releases
        self._patience = patience or Patience()
        self._fences: dict[str, int] = {}
        self._last_words: dict[tuple[str, str], str] = {}
        self._store, self._ports = parts.store, parts.ports
        self._runtime, self._switch, self._trial = parts.runtime, parts.switch, parts.trial
        self._reach, self._public_url = parts.reach, parts.public_url

    @contextmanager
    def locked(self, service: str, build_id: str) -> Iterator[Ledger]:
        """The deploy lock of the service; it is freed when its holder dies."""
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
        if not self._store.is_installed(service, release_id):
            raise DeploymentFailed(f"{service} {release_id} is not installed")
        url = self._reach(self._runtime.start(service, release_id))
        await_release(
            url,
            release_id,
            self._patience.start,
            lambda: self._runtime.complaint(service, release_id),
        )
        return url

    def answering(self, url: str) -> str | None:
        """The release whose marker is read at this URL now."""
        return release_at(url)

    def complaint(self, service: str, release_id: str) -> str | None:
        """What the runtime saw happen to the instance."""
        return self._runtime.complaint(service, release_id)

    def counts(self, service: str, release_id: str) -> Counts:
        """What the switch counted of the release; nothing if it does not run."""
        address = self._runtime.address(service, release_id)
        return Counts() if address is None else self._switch.counts(address)

    def log(self, service: str, release_id: str) -> str:
        """The end of what the instance said, also of one that was archived a moment ago."""
        known = self._last_words.get((service, release_id), "")
        return self._runtime.log(service, release_id) or known

    def offer(self, service: str, release_id: str, port: int, share: int) -> None:
        """Point `share` percent of the new connections at the release."""
        route = self._switch.routes().get(service)
        if route is None or route.port != port:
            raise DeploymentFailed(f"nothing of {service} is live on port {port} to share it with")
        address = self._address(service, release_id)
        self._repoint(route, self._trial.candidate(address, release_id, share, port))

    def withdraw(self, service: str) -> None:
        """Point all new connections at what is live."""
        route = self._switch.routes().get(service)
        if route is not None and route.candidate is not None:
            self._repoint(route, None)

    def switch(self, service: str, release_id: str, port: int) -> str:
        """Point the public port at the release; returns once its marker is read there."""
        route = Route(
            service=service,
            port=port,
            upstream=self._address(service, release_id),
            release=release_id,
            fence=self._fences.get(service, 0),
        )
        url = self._public_url(port)
        self._switch.point(route)
        await_release(url, release_id, self._patience.switch, lambda: None)
        return url

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
        elif route is not None and route.candidate and route.candidate.release == release_id:
            self._repoint(route, None)
        self._last_words[service, release_id] = self.log(service, release_id)
        self.stop(service, release_id)
        self._store.remove(service, release_id)

    def recover(self) -> None:
        """Bring every live release and its public address back, after a reboot for example."""
        for service in self._store.services():
            try:
                self._revive(service)
            except BuildExecutorError as error:
                _log.warning("cannot bring %s back: %s", service, error)

    def _address(self, service: str, release_id: str) -> str:
        address = self._runtime.address(service, release_id)
        if address is None:
            raise DeploymentFailed(f"{service} {release_id} does not run")
        return address

    def _repoint(self, route: Route, candidate: Candidate | None) -> None:
        fence = self._fences.get(route.service, route.fence)
        self._switch.point(route.model_copy(update={"candidate": candidate, "fence": fence}))

    def _revive(self, service: str) -> None:
        with self.locked(service, "recovery") as ledger:
            live = ledger.state.live_release
            if live is not None:
                self.start(service, live.id)
                self.switch(service, live.id, live.port)
