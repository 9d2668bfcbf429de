"""Where a target keeps its releases, their state and their deploy lock: two small protocols."""

from contextlib import AbstractContextManager
from pathlib import PurePath
from typing import Protocol

from build_executor.models import Release
from build_executor.targets.state import ServiceState


class Ledger(Protocol):
    """The state of one service, for as long as its deploy lock is held."""

    @property
    def state(self) -> ServiceState:
        """What was recorded last."""
        ...

    def record(self, state: ServiceState) -> None:
        """Keep `state`, whole or not at all; refused (DeployLocked) if the lock was lost."""
        ...


class Store(Protocol):
    """The releases of all services of one host.

    Every verb may be repeated; DeploymentFailed (or OSError) when the host cannot do what it is
    asked, or cannot be reached.
    """

    def services(self) -> list[str]:
        """The services that were ever deployed here."""
        ...

    def folder(self, service: str, release_id: str) -> PurePath:
        """Where this release is, or would be, on the host."""
        ...

    def shared(self, service: str, name: str) -> PurePath:
        """A private folder of the host that outlives the service's releases; it exists."""
        ...

    def read(self, service: str) -> ServiceState:
        """What is recorded of this service, without the lock; empty for an unknown one."""
        ...

    def locked(self, service: str, build_id: str) -> AbstractContextManager[Ledger]:
        """The deploy lock; freed when its holder dies. DeployLocked names a living holder.

        Taking it makes the state's `fence` one higher, durably.
        """
        ...

    def is_installed(self, service: str, release_id: str) -> bool:
        """Whether this release is there, whole."""
        ...

    def install(self, release: Release) -> None:
        """Put the release in its folder, whole or not at all.

        Refused if its archive is not the one that was built, or holds more than plain files.
        """
        ...

    def remove(self, service: str, release_id: str) -> None:
        """Remove the release's files."""
        ...
