"""The whole way back of one build: every target, then the registry, then word to sovereign-factory.

Putting a service back is what matters: a registry that is down or a sovereign-factory that does not
listen is noted in the report, and does not stop it.
"""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from build_executor.deployment import describe
from build_executor.errors import DeployLocked, DeploymentFailed, RegistrationFailed
from build_executor.going_back import roll_back
from build_executor.mesh.messages import BuildEvent
from build_executor.mesh.registry import Registry
from build_executor.models import BuildRecord, Registration, RollbackReport, Value
from build_executor.registration import restore_registration
from build_executor.targets.target import Target

NOTHING_TO_UNDO = RollbackReport(
    rollback_status="not_needed",
    previous_version_restored=False,
    service_health="absent",
    detail="the build never got as far as a service",
)
_WORST_FIRST = ("failed", "success", "not_needed")
_log = logging.getLogger(__name__)


class Cause(Value):
    """Why a build is undone, in the words of the message to sovereign-factory."""

    event: str = "build_failed"
    phase: str = ""
    reason: str


class Mesh(NamedTuple):
    """Who else has to know."""

    registry: Registry
    notify: Callable[[BuildEvent], object]


def roll_back_build(
    record: BuildRecord,
    registered: Registration | None,
    targets: Sequence[Sequence[Target]],
    mesh: Mesh,
    cause: Cause,
) -> RollbackReport:
    """What is live after this build was undone on all targets; may be repeated at any time.

    Each of `targets` is the hosts of one. `registered` is what this build itself registered, if it
    did. The report of the worst host is returned; never raises for a host or a peer that does not
    answer.
    """
    if record.service is None:
        return NOTHING_TO_UNDO
    reports = [one for t in targets for one in _undone(record.service, record.build_id, t)]
    report = min(reports, key=lambda r: _WORST_FIRST.index(r.rollback_status))
    hosts = [host for target in targets for host in target]
    report = _follow(report, record.service, registered, hosts, mesh.registry)
    mesh.notify(
        BuildEvent(
            event=cause.event,
            build_id=record.build_id,
            service_name=record.service,
            phase=cause.phase,
            error=cause.reason,
            rollback_status=report.rollback_status,
        )
    )
    return report


def _undone(service: str, build_id: str, hosts: Sequence[Target]) -> Sequence[RollbackReport]:
    try:
        return roll_back(service, build_id, hosts)
    except (DeploymentFailed, DeployLocked) as error:
        names = ", ".join(host.name for host in hosts)
        _log.error("the roll-back of %s on %s failed: %s", service, names, error)
        report = RollbackReport(
            rollback_status="failed",
            previous_version_restored=False,
            service_health="error",
            service=service,
            target=names,
            detail=f"{names}: {error}",
        )
        return [report]


def _follow(
    report: RollbackReport,
    service: str,
    registered: Registration | None,
    targets: Sequence[Target],
    registry: Registry,
) -> RollbackReport:
    """Let the registry say what is true now: the restored address, or nothing."""
    live = next((found.url for t in targets if (found := describe(service, t)) is not None), None)
    is_stale = registered is not None if live is None else report.rollback_status == "success"
    try:
        if is_stale:
            restore_registration(service, live, report.detail, registry)
    except RegistrationFailed as error:
        _log.warning("the registry does not know of the roll-back: %s", error)
        return report.model_copy(update={"detail": f"{report.detail}; {error}"})
    return report
