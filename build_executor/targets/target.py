"""Where a release runs, as the deployment algorithm sees it: one small protocol.

Implementations combine a store, a runtime and a switch (targets/host.py). Every verb may be
repeated: what is already so is left alone, which is how a killed deployment is finished or undone
by another process.
"""

from contextlib import AbstractContextManager
from typing import Protocol

from build_executor.models import Release
from build_executor.targets.state import ServiceState
from build_executor.targets.store import Ledger
from build_executor.targets.switch import Counts


class Target(Protocol):
    """One host where releases of services are installed, run and given traffic.

    Verbs raise DeploymentFailed when they cannot do what they promise.
    """

    name: str
    keep_releases: int

    def locked(self, service: str, build_id: str) -> AbstractContextManager[Ledger]:
        """The deploy lock of this service; waits a bounded time, then raises DeployLocked."""
        ...

    def read(self, service: str) -> ServiceState:
        """What is recorded of this service, without the lock; empty for an unknown one."""
        ...

    def reserve_port(self, service: str, wanted: int | None) -> int:
        """The service's public port: the wanted one, or one that is allocated once and kept.

        Refused when somebody else has it; nothing is changed then.
        """
        ...

    def install(self, release: Release) -> None:
        """Put the release beside the others; it is not started and takes no traffic."""
        ...

    def start(self, service: str, release_id: str) -> str:
        """The private address (URL) of the running release, once it answers with its marker."""
        ...

    def answering(self, url: str) -> str | None:
        """The release whose marker is read at this URL now; None if none answers healthily."""
        ...

    def complaint(self, service: str, release_id: str) -> str | None:
        """What is wrong with the running instance: its process ended, or ended since `start`."""
        ...

    def counts(self, service: str, release_id: str) -> Counts:
        """How this release answered the requests that came by the switch; compare two of them."""
        ...

    def log(self, service: str, release_id: str) -> str:
        """The end of what the instance said, archived or not; empty if nothing is known of it."""
        ...

    def offer(self, service: str, release_id: str, port: int, share: int) -> None:
        """Give this release `share` percent of the new connections; the live one has the others."""
        ...

    def withdraw(self, service: str) -> None:
        """Give all new connections to the live release; nothing happens if none was offered."""
        ...

    def switch(self, service: str, release_id: str, port: int) -> str:
        """Move the public port to this release; its public URL, once it answers there."""
        ...

    def stop(self, service: str, release_id: str) -> None:
        """Let its last requests end, then end its process; the release stays installed."""
        ...

    def archive(self, service: str, release_id: str) -> None:
        """Take the release off: its traffic if it has any, its process, its files; logs stay."""
        ...
