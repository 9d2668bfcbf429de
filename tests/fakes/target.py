"""A target in memory: it keeps every promise of the protocol, and can be told to break."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from build_executor.errors import DeployLocked, DeploymentFailed
from build_executor.models import Release
from build_executor.targets.state import ServiceState
from build_executor.targets.switch import Counts


class Killed(BaseException):
    """The deploying process died; like a real death, no `except Exception` sees it."""


@dataclass
class FakeLedger:
    """The ledger of one lock; recording counts as a step that can be the last one."""

    target: "FakeTarget"
    service: str

    @property
    def state(self) -> ServiceState:
        return self.target.state_of(self.service)

    def record(self, state: ServiceState) -> None:
        with self.target.step(f"record {state.live}/{state.switching}"):
            self.target.states[self.service] = state


@dataclass
class FakeTarget:
    """`refuses` holds steps such as "start 2" that fail; `dies_before`/`dies_after` count steps."""

    name: str = "fake"
    keep_releases: int = 5
    refuses: frozenset[str] = frozenset()
    dies_before: int | None = None
    dies_after: int | None = None
    taken_ports: frozenset[int] = frozenset()
    is_cut_off: bool = False
    crashed: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)
    tallies: dict[tuple[str, str], Counts] = field(default_factory=dict)
    counted: threading.Event = field(default_factory=threading.Event)

    asked: int = 0
    did: list[str] = field(default_factory=list)
    states: dict[str, ServiceState] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    installed: set[tuple[str, str]] = field(default_factory=set)
    running: set[tuple[str, str]] = field(default_factory=set)
    routes: dict[str, str] = field(default_factory=dict)
    offered: dict[str, tuple[str, int]] = field(default_factory=dict)
    archived: set[tuple[str, str]] = field(default_factory=set)
    holders: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """One step: refused, or done; the process may die just before or just after it."""
        number = len(self.did)
        self._reach()
        if number == self.dies_before:
            raise Killed(f"before {what}")
        self.did.append(what)
        if what in self.refuses:
            raise DeploymentFailed(f"cannot {what}")
        yield
        if number == self.dies_after:
            raise Killed(f"after {what}")

    def _reach(self) -> None:
        if self.is_cut_off:
            raise DeploymentFailed(f"{self.name} cannot be reached")

    @contextmanager
    def locked(self, service: str, build_id: str) -> Iterator[FakeLedger]:
        self._reach()
        if service in self.holders:
            raise DeployLocked(f"{service} is being deployed by build {self.holders[service]}")
        self.holders[service] = build_id
        state = self.read(service)
        self.states[service] = state.model_copy(update={"fence": state.fence + 1})
        try:
            yield FakeLedger(self, service)
        finally:
            del self.holders[service]

    def read(self, service: str) -> ServiceState:
        self._reach()
        return self.state_of(service)

    def state_of(self, service: str) -> ServiceState:
        """What is recorded, also if the target cannot be reached."""
        return self.states.get(service, ServiceState(service=service))

    def reserve_port(self, service: str, wanted: int | None) -> int:
        with self.step(f"reserve {wanted}"):
            port = wanted or self.ports.get(service) or 8300 + len(self.ports)
            if port in self.taken_ports:
                raise DeploymentFailed(f"port {port} is taken")
            self.ports[service] = port
        return port

    def install(self, release: Release) -> None:
        with self.step(f"install {release.id}"):
            self.installed.add((release.service, release.id))

    def start(self, service: str, release_id: str) -> str:
        with self.step(f"start {release_id}"):
            if (service, release_id) not in self.installed:
                raise DeploymentFailed(f"{release_id} is not installed")
            if release_id in self.crashed:
                raise DeploymentFailed(f"{release_id} does not start: its process ended")
            self.running.add((service, release_id))
        return f"http://127.0.0.1/{service}/{release_id}"

    def answering(self, url: str) -> str | None:
        private = {f"http://127.0.0.1/{service}/{id_}": id_ for service, id_ in self.running}
        public = {f"http://127.0.0.1:{self.ports[name]}": name for name in self.routes}
        found = self._met(public[url]) if url in public else private.get(url)
        return None if self.is_cut_off or found in self.crashed | self.mute else found

    def _met(self, service: str) -> str:
        """Who answers the next user of the public address; it is counted."""
        self.asked += 1
        candidate, share = self.offered.get(service, ("", 0))
        found = candidate if self.asked * 37 % 100 < share else self.routes[service]
        tally = self.tallies.get((service, found), Counts())
        more = {"answered": tally.answered + 1}
        self.tallies[service, found] = tally.model_copy(update=more)
        return found

    def complaint(self, service: str, release_id: str) -> str | None:
        self._reach()
        if (service, release_id) in self.running and release_id not in self.crashed:
            return None
        return "its process ended: it said nothing"

    def counts(self, service: str, release_id: str) -> Counts:
        self.counted.set()
        return self.tallies.get((service, release_id), Counts())

    def log(self, service: str, release_id: str) -> str:
        known = self.installed | self.archived
        return f"{release_id} was here" if (service, release_id) in known else ""

    def offer(self, service: str, release_id: str, port: int, share: int) -> None:
        with self.step(f"offer {release_id} {share}"):
            if (service, release_id) not in self.running or service not in self.routes:
                raise DeploymentFailed(f"{release_id} does not answer on port {port}")
            self.offered[service] = (release_id, share)

    def withdraw(self, service: str) -> None:
        with self.step("withdraw"):
            self.offered.pop(service, None)

    def switch(self, service: str, release_id: str, port: int) -> str:
        with self.step(f"switch {release_id}"):
            if (service, release_id) not in self.running or release_id in self.crashed:
                raise DeploymentFailed(f"{release_id} does not answer")
            self.routes[service] = release_id
            self.offered.pop(service, None)
        return f"http://127.0.0.1:{port}"

    def stop(self, service: str, release_id: str) -> None:
        with self.step(f"stop {release_id}"):
            self.running.discard((service, release_id))

    def archive(self, service: str, release_id: str) -> None:
        with self.step(f"archive {release_id}"):
            if self.routes.get(service) == release_id:
                del self.routes[service]
            if self.offered.get(service, ("", 0))[0] == release_id:
                del self.offered[service]
            self.running.discard((service, release_id))
            if (service, release_id) in self.installed:
                self.archived.add((service, release_id))
            self.installed.discard((service, release_id))
