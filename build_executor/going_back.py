"""The way back on all hosts of a target: to the last PROVEN release that answers now.

It may be repeated at any time, also after a kill at any step: what was about to happen is in the
state. All hosts go back to the same release; one that cannot be reached does not hold the others
up, and is finished when the roll-back is repeated. If nothing better answers, traffic stays where
it is, and the report says so.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from build_executor.errors import DeployLocked, DeploymentFailed
from build_executor.models import RollbackProof, RollbackReport
from build_executor.targets.state import InstalledRelease, ServiceState
from build_executor.targets.target import Target
from build_executor.traffic import NO_WAY, Host, Moved, is_reachable, moved_to, starts

_log = logging.getLogger(__name__)


class _Case(NamedTuple):
    """What a build left on a host: `suspect` has or may have the traffic, `ways` lead back."""

    host: Host
    suspect: InstalledRelease | None
    ways: tuple[InstalledRelease, ...]

    @property
    def is_in_doubt(self) -> bool:
        """Whether traffic has to be moved."""
        return self.suspect is not None and bool(self.ways)

    def way(self, release_id: str) -> InstalledRelease:
        """The way back to this release; KeyError if it is none."""
        return {release.id: release for release in self.ways}[release_id]


_Plan = list[tuple[_Case, InstalledRelease]]


def roll_back(service: str, build_id: str, targets: Sequence[Target]) -> tuple[RollbackReport, ...]:
    """Undo what this build did to the hosts of a target; may be repeated at any time.

    For each host: "success": the build's release was live and is no more; "not_needed": it was not
    live, its leftovers are gone; "failed": nothing better answers, so its release keeps the
    traffic, or the host cannot do it now. DeployLocked if somebody deploys this service.
    """
    with ExitStack() as locks:
        hosts, lost = list[Host](), list[RollbackReport]()
        for target in sorted(targets, key=lambda target: target.name):
            try:
                hosts.append(Host(target, locks.enter_context(target.locked(service, build_id))))
            except (DeploymentFailed, OSError) as error:
                lost.append(_failed(service, target, f"its lock cannot be taken: {error}"))
        return (*go_back(build_id, hosts), *lost)


def go_back(build_id: str, hosts: Sequence[Host]) -> tuple[RollbackReport, ...]:
    """The same for hosts whose locks are held: first all traffic, then what is left over."""
    cases = [_case(build_id, host) for host in hosts]
    moved, is_stuck = _move(cases)
    proven = _proven(cases)

    def finish(case: _Case) -> RollbackReport:
        if case.suspect is None:
            return _cleaned(build_id, case, is_stuck=is_stuck)
        return _finish(build_id, case, case.suspect, moved.get(case.host.name), proven)

    return tuple(_reported(case, finish) for case in cases)


def describe_all(reports: Sequence[RollbackReport]) -> str:
    """What is live now, in one line for people."""
    return "; ".join(f"{report.target}: {report.detail}" for report in reports)


def _case(build_id: str, host: Host) -> _Case:
    state = host.ledger.state
    live = state.live_release
    if live is not None and live.build_id == build_id:
        return _Case(host, live, state.fallbacks())
    switching = state.find(state.switching)
    is_ours = switching is not None and switching in state.of_build(build_id)
    return _Case(host, switching if is_ours else None, (live,) if live else ())


def _proven(cases: Sequence[_Case]) -> set[str]:
    return {id_ for case in cases for id_ in _state(case).proven}


def _move(cases: Sequence[_Case]) -> tuple[dict[str, Moved], bool]:
    """Where traffic was moved to, by host, and whether some that can be reached had to stay."""
    in_doubt = [case for case in cases if case.is_in_doubt]
    reachable = [case for case in in_doubt if is_reachable(case.host)]
    others = [case for case in cases if case.suspect is None and case.ways]
    proven = _proven(cases)
    if not any(_has_nothing_else(case, proven) for case in cases):
        for plan in _plans(reachable, others):
            moved = _all_moved(plan)
            if moved:
                return moved, len(moved) < len(reachable)
    return {}, bool(reachable)


def _has_nothing_else(case: _Case, proven: Collection[str]) -> bool:
    """Whether there is no way back here, and what there is was proven: then all hosts stay."""
    return case.suspect is not None and not case.ways and case.suspect.id in proven


def _plans(cases: Sequence[_Case], others: Sequence[_Case]) -> list[_Plan]:
    """Where all of these can go, best first; what is live on the other hosts comes before all.

    Nowhere while somebody else's deployment is unfinished on those: that has to be undone first.
    Hosts that have no release in common never were alike: each goes back to what it had.
    """
    ways = [[release.id for release in case.ways] for case in cases]
    common = [id_ for id_ in ways[0] if all(id_ in other for other in ways)] if ways else []
    if any(_is_unfinished(other, common) for other in others):
        return []
    live = [other.ways[0].id for other in others]
    common.sort(key=lambda id_: id_ not in live)
    same = [[(case, case.way(id_)) for case in cases] for id_ in common]
    return same or [[(case, case.ways[0]) for case in cases]]


def _is_unfinished(other: _Case, common: Sequence[str]) -> bool:
    live = other.ways[0].id
    return live not in common and live not in _state(other).proven


def _all_moved(plan: _Plan) -> dict[str, Moved]:
    """All moved as planned, or, as far as they can be, none."""
    if not all(starts(case.host, release.id) for case, release in plan):
        return {}
    moved: dict[str, Moved] = {}
    for case, release in plan:
        one = moved_to(case.host, release)
        if one is None and is_reachable(case.host):
            return _moved_back([case for case, _ in plan], moved)
        if one is not None:
            moved[case.host.name] = one
    return moved


def _moved_back(cases: Sequence[_Case], moved: dict[str, Moved]) -> dict[str, Moved]:
    """What stays moved: only where the release that was live has no answer any more."""
    stays = {}
    for case in cases:
        forward = moved.get(case.host.name)
        if forward and case.suspect and moved_to(case.host, case.suspect) is None:
            stays[case.host.name] = forward
    return stays


def _reported(case: _Case, finish: Callable[[_Case], RollbackReport]) -> RollbackReport:
    """What came of it; a host that cannot do it does not hold the others up."""
    try:
        return finish(case)
    except DeployLocked:
        raise
    except NO_WAY as error:
        return _failed(case.host.service, case.host.target, str(error))


def _finish(
    build_id: str,
    case: _Case,
    bad: InstalledRelease,
    moved: Moved | None,
    proven: Collection[str],
) -> RollbackReport:
    """Record what is live on a host whose traffic was in doubt, and take off what has none.

    What is proven on any host is kept on all: there may be nothing else to run.
    """
    if moved is not None:
        return _restored(build_id, case, bad, moved)
    if case.ways or bad.id in proven:
        return _keep(case.host, bad)
    leftovers = _all_of(build_id, case)
    _take_off(leftovers, case.host)
    return _cleared(case.host, leftovers, None)


def _all_of(build_id: str, case: _Case) -> tuple[InstalledRelease, ...]:
    """What the build brought to a host that had nothing before."""
    live = _state(case).live_release
    return (*((live,) if live else ()), *_state(case).of_build(build_id))


def _restored(build_id: str, case: _Case, bad: InstalledRelease, moved: Moved) -> RollbackReport:
    host, was_live = case.host, bad.id == _state(case).live
    # One write: a release that lost the traffic to a roll-back is no place to go back to.
    host.ledger.record(moved.state.disproved(bad.id) if was_live else moved.state)
    try:
        _take_off(host.ledger.state.of_build(build_id), host)
    except NO_WAY as error:
        # The service is restored; the next deployment retires what is left over.
        _log.warning("cannot archive %s: %s", bad.id, error)
    return RollbackReport(
        rollback_status="success",
        previous_version_restored=True,
        service_health="active",
        service=host.service,
        target=host.name,
        live_release=moved.state.live,
        detail=f"{moved.state.live} is live again instead of {bad.id}",
        proof=moved.proof,
    )


def _keep(host: Host, bad: InstalledRelease) -> RollbackReport:
    """Nothing better answers: traffic stays where it is, and the report says so loudly."""
    moved = moved_to(host, bad)
    host.ledger.record(moved.state if moved else host.ledger.state.settled())
    detail = f"no other proven release answers: {bad.id} stays live"
    _log.error("roll-back of %s on %s failed: %s", host.service, host.name, detail)
    return RollbackReport(
        rollback_status="failed",
        previous_version_restored=False,
        service_health="active" if moved else "error",
        service=host.service,
        target=host.name,
        live_release=host.ledger.state.live,
        detail=detail,
        proof=moved.proof if moved else None,
    )


def _cleaned(build_id: str, case: _Case, *, is_stuck: bool) -> RollbackReport:
    """What is live keeps its traffic, and all that the build brought goes.

    It stays installed while another host has to keep it: the two may have to meet there.
    """
    proof = _reassured(case.host)
    leftovers = () if is_stuck else case.host.ledger.state.of_build(build_id)
    _take_off(leftovers, case.host)
    return _cleared(case.host, leftovers, proof)


def _reassured(host: Host) -> RollbackProof | None:
    live = host.ledger.state.live_release
    if live is None:
        return None
    host.target.withdraw(host.service)
    moved = moved_to(host, live)
    host.ledger.record(moved.state if moved else host.ledger.state.settled())
    return moved.proof if moved else None


def _cleared(
    host: Host, leftovers: tuple[InstalledRelease, ...], proof: RollbackProof | None
) -> RollbackReport:
    live = host.ledger.state.live
    is_undone = bool(leftovers) and live is None
    names = ", ".join(release.id for release in leftovers)
    return RollbackReport(
        rollback_status="success" if is_undone else "not_needed",
        previous_version_restored=False,
        service_health="absent" if live is None else "active" if proof else "inactive",
        service=host.service,
        target=host.name,
        live_release=live,
        detail=f"nothing is left of {names}, the first release"
        if is_undone
        else "the build's release is not live",
        proof=proof,
    )


def _take_off(leftovers: Sequence[InstalledRelease], host: Host) -> None:
    for release in leftovers:
        if release.id in host.ledger.state.proven and release.id != host.ledger.state.live:
            host.target.stop(host.service, release.id)  # an earlier build proved it: a way back
        else:
            host.target.archive(host.service, release.id)
            host.ledger.record(host.ledger.state.without({release.id}))


def _state(case: _Case) -> ServiceState:
    return case.host.ledger.state


def _failed(service: str, target: Target, reason: str) -> RollbackReport:
    _log.error("the roll-back of %s on %s failed: %s", service, target.name, reason)
    return RollbackReport(
        rollback_status="failed",
        previous_version_restored=False,
        service_health="error",
        service=service,
        target=target.name,
        detail=f"cannot roll {service} back on {target.name}: {reason}",
    )
