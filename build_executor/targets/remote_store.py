"""The releases of another host, with their state and their deploy lock, laid out as on this one."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from build_executor.errors import DeploymentFailed
from build_executor.models import Release
from build_executor.settings import Settings
from build_executor.targets.dependencies import Dependencies, Platform, vendored_dependencies
from build_executor.targets.releases import check_digest, unpack
from build_executor.targets.remote_host import RemoteHost
from build_executor.targets.shell import Held
from build_executor.targets.state import ServiceState

_SHIPPING_SECONDS = 600.0

Vendor = Callable[[Release, Platform], Dependencies | None]
"""The packages of a release for a platform; None if it needs none."""


def vendor_from_lock(settings: Settings) -> Vendor:
    """The packages that the release's own lock names, kept in the cache."""

    def packages(release: Release, platform: Platform) -> Dependencies:
        with tempfile.TemporaryDirectory(prefix="release-lock-") as scratch:
            unpack(release.archive, Path(scratch))
            return vendored_dependencies(Path(scratch) / "requirements.txt", platform, settings)

    return packages


class RemoteLedger:
    """The state of one service while its lock is held by our line to the host."""

    def __init__(self, host: RemoteHost, held: Held, state: ServiceState) -> None:
        self._host, self._held, self._state = host, held, state

    @property
    def state(self) -> ServiceState:
        """What was recorded last."""
        return self._state

    def record(self, state: ServiceState) -> None:
        """Keep `state`; refused if the line was lost, and the lock with it."""
        if not self._held.is_alive():
            message = f"{self._host.name}: the deploy lock was lost with the connection"
            raise DeploymentFailed(message)
        self._host.ask("record", service=state.service, state=state.model_dump(mode="json"))
        self._state = state


class RemoteStore:
    """All services below the root folder of a host."""

    def __init__(self, host: RemoteHost, vendor: Vendor, *, lock_seconds: float) -> None:
        self._host, self._vendor, self._lock_seconds = host, vendor, lock_seconds

    def services(self) -> list[str]:
        """The services that were ever deployed there."""
        return list(self._host.ask("services")["services"])

    def folder(self, service: str, release_id: str) -> PurePosixPath:
        """Where this release is, or would be, on the host."""
        return self._host.root / service / "releases" / release_id

    def shared(self, service: str, name: str) -> PurePosixPath:
        """A folder that outlives the service's releases; it is made when one is started."""
        return self._host.root / service / "shared" / name

    def read(self, service: str) -> ServiceState:
        """What is recorded of this service; empty for an unknown one."""
        state = self._host.ask("read", service=service)["state"]
        return ServiceState(service=service) if state is None else self._parsed(service, state)

    @contextlib.contextmanager
    def locked(self, service: str, build_id: str) -> Iterator[RemoteLedger]:
        """The deploy lock; the host frees it when its holder dies or falls silent."""
        with self._host.locked(service, build_id, self._lock_seconds) as (held, state):
            yield RemoteLedger(self._host, held, self._parsed(service, state))

    def is_installed(self, service: str, release_id: str) -> bool:
        """Whether this release is there, whole."""
        return bool(self._host.ask("is_installed", service=service, release=release_id)["is"])

    def install(self, release: Release) -> None:
        """Send the release, and its packages if the host does not have them yet."""
        if self.is_installed(release.service, release.id):
            return
        check_digest(release)
        dependencies = self._vendor(release, self._host.platform)
        if dependencies is not None:
            self._send_packages(dependencies)
        with release.archive.open("rb") as archive:
            self._host.send(
                "install",
                archive,
                seconds=_SHIPPING_SECONDS,
                service=release.service,
                release=release.id,
                digest=release.digest,
                size=release.archive.stat().st_size,
                packages=dependencies.key if dependencies else None,
                fence=self._host.fence(release.service),
            )

    def remove(self, service: str, release_id: str) -> None:
        """Remove the release's files."""
        fence = self._host.fence(service)
        self._host.ask("remove", service=service, release=release_id, fence=fence)

    def _send_packages(self, dependencies: Dependencies) -> None:
        if self._host.ask("has_packages", key=dependencies.key)["is"]:
            return
        with dependencies.archive.open("rb") as archive:
            self._host.send(
                "put_packages",
                archive,
                seconds=_SHIPPING_SECONDS,
                key=dependencies.key,
                digest=dependencies.digest,
                size=dependencies.archive.stat().st_size,
            )

    def _parsed(self, service: str, state: dict[str, Any]) -> ServiceState:
        try:
            return ServiceState.model_validate(state)
        except ValidationError as error:
            message = f"{self._host.name}: the state of {service} is damaged"
            raise DeploymentFailed(message) from error
