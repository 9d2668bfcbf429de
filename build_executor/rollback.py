"""The whole way back of one build: every target, then the registry, then word to sovereign-factory.

Putting a service back is what matters: a registry that is down or a sovereign-factory that does not
listen is noted in the report, and does not stop it.
"""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from build_executor.artifacts import CONTRACT, ArtifactStore
from build_executor.deployment import LiveService, describe
from build_executor.errors import DeployLocked, DeploymentFailed, RegistrationFailed
from build_executor.going_back import roll_back
from build_executor.mesh.messages import BuildEvent
from build_executor.mesh.registry import Registry
from build_executor.models import BuildRecord, Check, Registration, RollbackReport, Value
from build_executor.registration import restore_registration
from build_executor.spec.compatibility import compare_contracts
from build_executor.spec.contract import Contract
from build_executor.targets.target import Target

NOTHING_TO_UNDO = RollbackReport(
    rollback_status="not_needed",
    previous_version_restored=False,
    service_health="absent",
    detail="the build never got as far as a service",
)
Ask = Callable[[LiveService], tuple[Check, ...] | None]
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
    report = min(
        reports, key=lambda r: _WORST_FIRST.index(r.rollback_status), default=NOTHING_TO_UNDO
    )
    # As registered: what is deployed last, production, is what the mesh uses.
    hosts = [host for target in reversed(targets) for host in target]
    trouble = _follow(reports, record.service, registered, hosts, mesh.registry)
    report = report.model_copy(update={"detail": f"{report.detail}{trouble}"})
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


def ask_contract(report: RollbackReport, targets: Sequence[Target], ask: Ask) -> RollbackReport:
    """The report with the contract of what is live now asked again, through the public address.

    `ask` gives the checks of a live release, None if its contract was not kept. A check that fails
    is told loudly; traffic stays where it is, because there is nothing better.
    """
    if report.proof is None:
        return report
    live = _live_after(report, targets)
    checks = ask(live) if live else None
    if checks is None:
        detail = f"{report.detail}; its contract was not kept and not asked again"
        return report.model_copy(update={"detail": detail})
    proof = report.proof.model_copy(update={"checks": checks})
    failed = [check.name for check in checks if not check.passed]
    if not failed:
        return report.model_copy(update={"proof": proof})
    detail = f"{report.detail}; {len(failed)} of {len(checks)} checks fail: {', '.join(failed)}"
    _log.error("%s", detail)
    return report.model_copy(update={"proof": proof, "detail": detail, "service_health": "error"})


def tell_losses(
    report: RollbackReport, build_id: str, targets: Sequence[Target], store: ArtifactStore
) -> RollbackReport:
    """The report with what callers lose who had already begun to use the undone version."""
    live = _live_after(report, targets) if report.rollback_status == "success" else None
    undone = store.read_value(build_id, CONTRACT, Contract)
    restored = store.read_value(live.build_id, CONTRACT, Contract) if live else None
    if undone is None or restored is None:
        return report
    changes = compare_contracts(undone, restored)
    lost = tuple(str(change) for change in changes if change.breaking)
    return report.model_copy(update={"lost": lost})


def _live_after(report: RollbackReport, targets: Sequence[Target]) -> LiveService | None:
    """What the host that is reported of has now; None also if it got lost."""
    target = next((one for one in targets if one.name == report.target), None)
    try:
        return describe(report.service or "", target) if target is not None else None
    except DeploymentFailed as error:
        _log.warning("nobody knows what is live after the roll-back: %s", error)
        return None


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
    reports: Sequence[RollbackReport],
    service: str,
    registered: Registration | None,
    hosts: Sequence[Target],
    registry: Registry,
) -> str:
    """Let the registry say what is true now: the restored address, or nothing; what went wrong."""
    restored = next((one for one in reports if one.rollback_status == "success"), None)
    try:
        live = _live(service, hosts)
        if live is not None and restored is not None:
            restore_registration(service, live, restored.detail, registry)
        elif live is None and registered is not None:
            restore_registration(service, None, "", registry)
    except (RegistrationFailed, DeploymentFailed) as error:
        _log.warning("the registry does not know of the roll-back: %s", error)
        return f"; {error}"
    return ""


def _live(service: str, hosts: Sequence[Target]) -> LiveService | None:
    """What the first host with a live release has; DeploymentFailed if only a lost one may."""
    lost: DeploymentFailed | None = None
    for host in hosts:
        try:
            live = describe(service, host)
        except DeploymentFailed as error:
            lost = error
            continue
        if live is not None:
            return live
    if lost is not None:
        raise lost
    return None
