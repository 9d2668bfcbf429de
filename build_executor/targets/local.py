"""The local target: this machine, with supervised processes and the embedded switch by default."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from build_executor.sandbox.bubblewrap import Bubblewrap
from build_executor.settings import Settings
from build_executor.targets.host import HostTarget, Parts, Patience
from build_executor.targets.ports import PortBook
from build_executor.targets.releases import ReleaseStore
from build_executor.targets.runtime import ProcessRuntime
from build_executor.targets.supervisor import Supervisor
from build_executor.targets.switch import EmbeddedSwitch
from build_executor.targets.switch_process import LocalSwitchProcess
from build_executor.targets.switching import switched

if TYPE_CHECKING:
    from build_executor.targets.docker_target import Containers


class LocalTarget(HostTarget):
    """This machine, below one folder; `furnish` may exchange its parts."""

    def __init__(
        self,
        root: Path,
        *,
        keep_releases: int = 5,
        patience: Patience | None = None,
        furnish: Callable[[Parts], Parts] | None = None,
        sandbox: Bubblewrap | None = None,
    ) -> None:
        patience = patience or Patience()
        self.supervisor = Supervisor(_supervisor_folder(root))
        store = ReleaseStore(root, lock_seconds=patience.lock)
        parts = Parts(
            store=store,
            ports=PortBook(root / ".ports.json"),
            runtime=ProcessRuntime(store, self.supervisor, sandbox),
            switch=EmbeddedSwitch(LocalSwitchProcess(root / ".switch", self.supervisor)),
        )
        parts = furnish(parts) if furnish else parts
        super().__init__("local", parts, keep_releases=keep_releases, patience=patience)

    def recover(self) -> None:
        """Bring what was deployed back; nothing starts if nothing ever was."""
        if self.supervisor.programs():
            self.supervisor.start()
        super().recover()


def local_target(settings: Settings, patience: Patience | None = None) -> LocalTarget:
    """This machine as the settings want it: processes or containers, one switch or the other."""

    def furnish(parts: Parts) -> Parts:
        if settings.docker:
            parts = _containers(settings).contain(parts)
        return switched(parts, settings)

    return LocalTarget(
        settings.services,
        keep_releases=settings.keep_releases,
        patience=patience,
        furnish=furnish,
        sandbox=Bubblewrap(settings.bubblewrap),
    )


def local_supervisor_up(settings: Settings) -> None:
    """Bring the deployed services back; nothing starts if none was ever deployed."""
    local_target(settings).recover()


def local_supervisor_down(settings: Settings) -> None:
    """End the deployed services, the switch and their supervisor, and nothing else."""
    if settings.docker:
        _containers(settings).end_all()
    Supervisor(_supervisor_folder(settings.services)).shut_down()


def _containers(settings: Settings) -> "Containers":
    # Here, since the SDK takes a quarter of a second and most processes never need it.
    from build_executor.targets.docker_target import containers_here  # noqa: PLC0415

    return containers_here(settings)


def _supervisor_folder(root: Path) -> Path:
    """Ours begin with a dot, which no service's name does: one may well be called `switch`."""
    return root / ".supervisor"
