"""Make a verified release live, prove it, or go back: one algorithm for every target.

Nothing shared changes before the new instance has passed the gate; then one pointer moves and the
old instance stays warm until the new one is proven. A roll-back goes to the last PROVEN release,
never "one back", and only to one that answers now. Each step may be repeated, and what is about to
happen is recorded first, so a roll-back in another process finishes what a killed build left.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from build_executor.errors import BuildExecutorError, DeploymentFailed
from build_executor.events import report_progress
from build_executor.models import (
    Check,
    Deployment,
    Finding,
    Release,
    RollbackReport,
    Value,
    VerifiedRelease,
)
from build_executor.phases import Phase
from build_executor.targets.state import InstalledRelease, ServiceState
from build_executor.targets.store import Ledger
from build_executor.targets.target import Target

Gate = Callable[[str], tuple[Check, ...]]

_log = logging.getLogger(__name__)


class LiveService(Value):
    """What users of a service meet on a target, and whether there is a way back from it."""

    release_id: str
    build_id: str
    url: str
    proven: bool
    can_roll_back: bool


def deploy(verified: VerifiedRelease, target: Target, gate: Gate) -> Deployment:
    """Start the release beside the live one, let it pass `gate`, then move traffic to it.

    On DeploymentFailed the release that was live still is, and nothing of the new one is left;
    DeployLocked if somebody else is deploying this service. Not proven yet: see `prove`.
    """
    release = verified.release
    with target.locked(release.service, release.build_id) as ledger:
        try:
            return _go_live(release, target, ledger, gate)
        except (BuildExecutorError, OSError) as error:
            _clean_up_after_failure(release.build_id, target, ledger)
            if isinstance(error, DeploymentFailed):
                raise
            message = f"cannot deploy {release.service} {release.id} to {target.name}: {error}"
            raise DeploymentFailed(message) from error


def prove(deployment: Deployment, target: Target) -> None:
    """Make this the release to go back to, and stop what it replaced; prunes old releases.

    Nothing happens if another release has become live meanwhile.
    """
    service, release_id = deployment.service, deployment.release_id
    with target.locked(service, deployment.build_id) as ledger:
        if ledger.state.live != release_id:
            _log.warning("%s %s is not live any more: not proven", service, release_id)
            return
        ledger.record(ledger.state.proved(release_id, deployment.build_id))
        try:
            _retire_superseded(target, ledger)
        except (BuildExecutorError, OSError) as error:
            # The deployment is good; what is left over is retired by the next one.
            _log.warning("cannot retire old releases of %s: %s", service, error)


def roll_back(service: str, build_id: str, target: Target) -> RollbackReport:
    """Undo what this build did to the target, however far it came; may be repeated at any time.

    "success": its release was live and is no more; "not_needed": it was not live, its leftovers
    are gone; "failed": nothing better answers, so its release keeps the traffic. DeploymentFailed
    if leftovers cannot be removed now: repeat it.
    """
    try:
        with target.locked(service, build_id) as ledger:
            live = ledger.state.live_release
            if live is not None and live.build_id == build_id:
                return _return_from(live, target, ledger)
            return _remove_leftovers(build_id, target, ledger)
    except OSError as error:
        raise DeploymentFailed(f"cannot roll {service} back on {target.name}: {error}") from error


def describe(service: str, target: Target) -> LiveService | None:
    """What is live on the target; None if nothing is."""
    state = target.read(service)
    live = state.live_release
    if live is None or live.url is None:
        return None
    return LiveService(
        release_id=live.id,
        build_id=live.build_id,
        url=live.url,
        proven=live.id in state.proven,
        can_roll_back=bool(state.fallbacks()),
    )


def _go_live(release: Release, target: Target, ledger: Ledger, gate: Gate) -> Deployment:
    service, port = release.service, target.reserve_port(release.service, release.port)
    installed = _announce(release, port, ledger)
    target.install(release)
    report_progress(Phase.DEPLOYMENT, 30, f"installed {release.id} on {target.name}")
    private_url = target.start(service, release.id)
    report_progress(Phase.DEPLOYMENT, 60, f"{release.id} answers at {private_url}")
    _pass(gate(private_url), release, private_url)
    report_progress(Phase.DEPLOYMENT, 80, f"{release.id} passed the gate")
    ledger.record(ledger.state.about_to_switch(release.id))
    url = target.switch(service, release.id, port)
    ledger.record(ledger.state.switched(release.id, url))
    report_progress(Phase.DEPLOYMENT, 100, f"{release.id} is live at {url}")
    return Deployment(
        target=target.name,
        service=service,
        release_id=release.id,
        build_id=release.build_id,
        url=url,
        previous=installed.replaced,
    )


def _announce(release: Release, port: int, ledger: Ledger) -> InstalledRelease:
    """Record what this build is about to bring; a release that is live already stays as it is."""
    live = ledger.state.live_release
    if live is not None and live.id == release.id:
        return live
    installed = InstalledRelease(
        id=release.id,
        build_id=release.build_id,
        digest=release.digest,
        port=port,
        deployed_at=datetime.now(UTC),
        replaced=ledger.state.live,
    )
    ledger.record(ledger.state.with_release(installed))
    return installed


def _pass(checks: tuple[Check, ...], release: Release, url: str) -> None:
    findings = tuple(
        Finding(gate="deployment", rule=check.name, message=check.detail or "failed")
        for check in checks
        if not check.passed
    )
    if findings or not checks:
        raise DeploymentFailed(
            f"{release.service} {release.id} started at {url} but does not honour its contract",
            findings,
        )


def _clean_up_after_failure(build_id: str, target: Target, ledger: Ledger) -> None:
    try:
        _remove_leftovers(build_id, target, ledger)
    except (BuildExecutorError, OSError) as error:
        # The first error is the one to report; the roll-back of the build tries again.
        _log.warning("cannot remove what build %s left on %s: %s", build_id, target.name, error)


def _remove_leftovers(build_id: str, target: Target, ledger: Ledger) -> RollbackReport:
    """What is live keeps, or gets back, the traffic; this build's other releases go."""
    leftovers = ledger.state.of_build(build_id)
    was_switching = ledger.state.switching in {release.id for release in leftovers}
    live = ledger.state.live_release
    health = _reassert(live, target, ledger, unwell="inactive") if live else "absent"
    _take_off(leftovers, target, ledger)
    restored = was_switching and health == "active"
    undone = restored or (bool(leftovers) and ledger.state.live is None)
    return _report(
        "success" if undone else "not_needed",
        ledger.state,
        health,
        restored=restored,
        detail="" if undone else "the build's release is not live",
    )


def _take_off(leftovers: tuple[InstalledRelease, ...], target: Target, ledger: Ledger) -> None:
    for release in leftovers:
        if release.id in ledger.state.proven:  # an earlier build proved it: a way back
            target.stop(ledger.state.service, release.id)
        else:
            target.archive(ledger.state.service, release.id)
            ledger.record(ledger.state.without({release.id}))


def _return_from(bad: InstalledRelease, target: Target, ledger: Ledger) -> RollbackReport:
    fallbacks = ledger.state.fallbacks()
    moved = next((state for r in fallbacks if (state := _moved(r, target, ledger))), None)
    if moved is not None:
        return _restored(moved, bad, target, ledger)
    if fallbacks or bad.id in ledger.state.proven:
        return _keep(bad, target, ledger)
    _take_off((bad,), target, ledger)
    detail = f"{bad.id} was the first release: nothing is left of it"
    return _report("success", ledger.state, "absent", restored=False, detail=detail)


def _restored(
    moved: ServiceState, bad: InstalledRelease, target: Target, ledger: Ledger
) -> RollbackReport:
    # One write: a release that lost the traffic to a roll-back is no place to go back to.
    ledger.record(moved.disproved(bad.id))
    try:
        _take_off((bad,), target, ledger)
    except (BuildExecutorError, OSError) as error:
        # The service is restored; the next deployment retires what is left over.
        _log.warning("cannot archive %s: %s", bad.id, error)
    detail = f"{moved.live} is live again instead of {bad.id}"
    return _report("success", ledger.state, "active", restored=True, detail=detail)


def _keep(bad: InstalledRelease, target: Target, ledger: Ledger) -> RollbackReport:
    """Nothing better answers: traffic stays where it is, and the report says so loudly."""
    health = _reassert(bad, target, ledger, unwell="error")
    detail = f"no other proven release answers: {bad.id} stays live"
    _log.error("roll-back of %s failed: %s", ledger.state.service, detail)
    return _report("failed", ledger.state, health, restored=False, detail=detail)


def _reassert(live: InstalledRelease, target: Target, ledger: Ledger, *, unwell: str) -> str:
    """Give the live release its traffic (back), and say how it is."""
    moved = _moved(live, target, ledger)
    ledger.record(moved or ledger.state.settled())
    return "active" if moved else unwell


def _moved(release: InstalledRelease, target: Target, ledger: Ledger) -> ServiceState | None:
    """The state to record after traffic was moved to this release; None if it does not answer."""
    service = ledger.state.service
    try:
        target.start(service, release.id)
        ledger.record(ledger.state.about_to_switch(release.id))
        url = target.switch(service, release.id, release.port)
    except DeploymentFailed as error:
        _log.warning("cannot move %s to %s: %s", service, release.id, error)
        return None
    return ledger.state.switched(release.id, url)


def _retire_superseded(target: Target, ledger: Ledger) -> None:
    for release in ledger.state.superseded():
        target.stop(ledger.state.service, release.id)
    for release in ledger.state.prunable(target.keep_releases):
        target.archive(ledger.state.service, release.id)
        ledger.record(ledger.state.without({release.id}))


def _report(
    status: str, state: ServiceState, health: str, *, restored: bool, detail: str
) -> RollbackReport:
    return RollbackReport(
        rollback_status=status,
        previous_version_restored=restored,
        service_health=health,
        service=state.service,
        live_release=state.live,
        detail=detail,
    )
