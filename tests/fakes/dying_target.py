"""A real target under a deployer that is killed with SIGKILL just before or after one step."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from build_executor.models import Release
from build_executor.targets.state import ServiceState
from build_executor.targets.store import Ledger
from build_executor.targets.switch import Counts
from build_executor.targets.target import Target


@dataclass
class DyingLedger:
    """Counts what is recorded: its owner may die before or after each time."""

    ledger: Ledger
    owner: "DyingTarget"

    @property
    def state(self) -> ServiceState:
        return self.ledger.state

    def record(self, state: ServiceState) -> None:
        self.owner.records += 1
        with self.owner.step(f"record {self.owner.records}"):
            self.ledger.record(state)


@dataclass
class DyingTarget:
    """Does what `target` does; `at` is a moment such as "after switch" or "before record 2"."""

    target: Target
    at: str
    records: int = 0

    def __post_init__(self) -> None:
        self.name, self.keep_releases = self.target.name, self.target.keep_releases

    @contextmanager
    def step(self, verb: str) -> Iterator[None]:
        self._pass(f"before {verb}")
        yield
        self._pass(f"after {verb}")

    def _pass(self, moment: str) -> None:
        if moment == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def locked(self, service: str, build_id: str) -> Iterator[Ledger]:
        with self.target.locked(service, build_id) as ledger:
            yield DyingLedger(ledger, self)
            self._pass("before unlock")

    def read(self, service: str) -> ServiceState:
        return self.target.read(service)

    def reserve_port(self, service: str, wanted: int | None) -> int:
        return self.target.reserve_port(service, wanted)

    def install(self, release: Release) -> None:
        with self.step("install"):
            self.target.install(release)

    def start(self, service: str, release_id: str) -> str:
        with self.step("start"):
            return self.target.start(service, release_id)

    def answering(self, url: str) -> str | None:
        return self.target.answering(url)

    def counts(self, service: str, release_id: str) -> Counts:
        return self.target.counts(service, release_id)

    def log(self, service: str, release_id: str) -> str:
        return self.target.log(service, release_id)

    def complaint(self, service: str, release_id: str) -> str | None:
        with self.step("complaint"):
            return self.target.complaint(service, release_id)

    def offer(self, service: str, release_id: str, port: int, share: int) -> None:
        with self.step("offer"):
            self.target.offer(service, release_id, port, share)

    def withdraw(self, service: str) -> None:
        with self.step("withdraw"):
            self.target.withdraw(service)

    def switch(self, service: str, release_id: str, port: int) -> str:
        with self.step("switch"):
            return self.target.switch(service, release_id, port)

    def stop(self, service: str, release_id: str) -> None:
        with self.step("stop"):
            self.target.stop(service, release_id)

    def archive(self, service: str, release_id: str) -> None:
        with self.step("archive"):
            self.target.archive(service, release_id)
