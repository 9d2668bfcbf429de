"""Make a verified release live on all hosts of a target, or leave all of them as they were.

Two phases: first every host installs the release beside the live one, starts it, and lets it pass
the gate; nothing that is shared has changed then. Only then one pointer moves on each host, and
the old release stays warm while the new one is guarded. A bad sign on any host sends all of them
back. Each step may be repeated, and what is about to happen is recorded first, so a roll-back in
another process finishes what a killed deployment left.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import Field

from build_executor.errors import BuildExecutorError, DeploymentFailed
from build_executor.events import report_progress
from build_executor.going_back import describe_all, go_back, roll_back
from build_executor.guard import Gate, Guarded, Span, findings_of, guard, watch_share
from build_executor.models import Check, Deployment, Release, Value, VerifiedRelease
from build_executor.phases import Phase
from build_executor.targets.availability import Watches
from build_executor.targets.state import InstalledRelease, ServiceState
from build_executor.targets.target import Target
from build_executor.traffic import Host

__all__ = ["Gate", "LiveService", "Rollout", "deploy", "describe", "prove", "roll_back"]

_log = logging.getLogger(__name__)


class Rollout(Value):
    """How carefully a release gets its traffic.

    `canary_steps` are the percentages of new connections it gets before it gets all of them, each
    for `canary_step_seconds`; they are skipped where nothing is live yet. Then it is guarded.
    """

    guard_seconds: float = Field(default=10, ge=0)
    canary_steps: tuple[int, ...] = ()
    canary_step_seconds: float = Field(default=10, ge=0)


class LiveService(Value):
    """What users of a service meet on a target."""

    release_id: str
    build_id: str
    url: str

    @property
    def version(self) -> str:
        """The version of the SPEC that it was built from; a release's id begins with it."""
        return self.release_id.rpartition("-")[0]


class _Placed(NamedTuple):
    """A release that runs on a host and passed the gate, but has no traffic yet."""

    host: Host
    installed: InstalledRelease
    private_url: str


def deploy(
    verified: VerifiedRelease, targets: Sequence[Target], gate: Gate, rollout: Rollout
) -> tuple[Deployment, ...]:
    """The release, live on all hosts and guarded for a while; one Deployment a host.

    On DeploymentFailed every host runs what it ran before, and nothing of the new one is left; a
    host that is lost on the way is named. DeployLocked if somebody else is deploying this service.
    Not proven yet: see `prove`.
    """
    release = verified.release
    with ExitStack() as stack:
        watches = Watches(stack)
        hosts = _lock_all(release, targets, stack)
        try:
            return _go_live(release, hosts, gate, rollout, watches)
        except DeploymentFailed as error:
            reports = go_back(release.build_id, hosts)
            outcome = "; ".join(part for part in (describe_all(reports), watches.say()) if part)
            raise DeploymentFailed(f"{error.message} [{outcome}]", error.findings) from error


def prove(deployments: Sequence[Deployment], targets: Sequence[Target]) -> None:
    """Make this the release to go back to, and stop what it replaced; prunes old releases.

    Nothing happens on a host where another release has become live meanwhile.
    """
    of = {deployment.target: deployment for deployment in deployments}
    with ExitStack() as stack:
        hosts = _lock_all(deployments[0], [one for one in targets if one.name in of], stack)
        proven = [host for host in hosts if _is_proved(host, of[host.name])]
        for host in proven:
            try:
                _retire_superseded(host)
            except (BuildExecutorError, OSError) as error:
                # The deployment is good; what is left over is retired by the next one.
                _log.warning("cannot retire old releases on %s: %s", host.name, error)


def retire(service: str, target: Target) -> tuple[str, ...]:
    """Remove what is beyond the releases to keep: what an earlier retirement left; their ids.

    Nothing is removed while what is live is not proven: anything else may be the way back.
    """
    state = target.read(service)
    if not _can_retire(state, target.keep_releases):
        return ()
    with target.locked(service, "prune") as ledger:
        if not _can_retire(ledger.state, target.keep_releases):
            return ()
        return _remove_old(Host(target, ledger))


def describe(service: str, target: Target) -> LiveService | None:
    """What is live on the target; None if nothing is."""
    live = target.read(service).live_release
    if live is None or live.url is None:
        return None
    return LiveService(release_id=live.id, build_id=live.build_id, url=live.url)


def _lock_all(
    what: Release | Deployment, targets: Sequence[Target], stack: ExitStack
) -> list[Host]:
    """In the order of their names, so that two deployers never wait for each other."""
    hosts = []
    for target in sorted(targets, key=lambda target: target.name):
        try:
            ledger = stack.enter_context(target.locked(what.service, what.build_id))
        except OSError as error:
            message = f"cannot lock {what.service} on {target.name}: {error}"
            raise DeploymentFailed(message) from error
        hosts.append(Host(target, ledger))
    return hosts


def _go_live(
    release: Release, hosts: list[Host], gate: Gate, rollout: Rollout, watches: Watches
) -> tuple[Deployment, ...]:
    placed = [_place(release, host, gate) for host in hosts]
    for one in placed:
        _watch_what_is_live(one, watches)
    _offer(release, placed, rollout, watches)
    guarded = [_switch(release, one, watches) for one in placed]
    guard(guarded, gate, Span("guarded", rollout.guard_seconds, 80, 99))
    deployments = tuple(_deployment(one) for one in guarded)
    report_progress(Phase.DEPLOYMENT, 100, f"{release.id} is live; {watches.say()}")
    return deployments


def _place(release: Release, host: Host, gate: Gate) -> _Placed:
    """Phase one: installed, started, asked; nobody notices."""
    target = host.target
    with _named(host, release):
        port = target.reserve_port(release.service, release.port)
        installed = _announce(release, port, host)
        target.install(release)
        report_progress(Phase.DEPLOYMENT, 20, f"installed {release.id} on {host.name}")
        private_url = target.start(release.service, release.id)
        report_progress(Phase.DEPLOYMENT, 40, f"{release.id} answers at {private_url}")
        _pass(gate(private_url), release, private_url)
        report_progress(Phase.DEPLOYMENT, 60, f"{release.id} passed the gate on {host.name}")
    return _Placed(host, installed, private_url)


@contextmanager
def _named(host: Host, release: Release) -> Iterator[None]:
    """Whatever goes wrong says where."""
    try:
        yield
    except DeploymentFailed as error:
        raise DeploymentFailed(f"{host.name}: {error.message}", error.findings) from error
    except (BuildExecutorError, OSError) as error:
        message = f"cannot deploy {release.service} {release.id} to {host.name}: {error}"
        raise DeploymentFailed(message) from error


def _pass(checks: tuple[Check, ...], release: Release, url: str) -> None:
    findings = findings_of(checks, "deployment")
    if findings:
        message = f"{release.id} started at {url} but does not honour its contract"
        raise DeploymentFailed(message, findings)


def _announce(release: Release, port: int, host: Host) -> InstalledRelease:
    """Record what this build is about to bring; a release that is live already stays as it is."""
    live = host.ledger.state.live_release
    if live is not None and live.id == release.id:
        return live
    installed = InstalledRelease(
        id=release.id,
        build_id=release.build_id,
        digest=release.digest,
        port=port,
        deployed_at=datetime.now(UTC),
        replaced=host.ledger.state.live,
    )
    host.ledger.record(host.ledger.state.with_release(installed))
    return installed


def _watch_what_is_live(placed: _Placed, watches: Watches) -> None:
    """From before the switch on, if the address stays the same."""
    live = placed.host.ledger.state.live_release
    if live is not None and live.url is not None and live.port == placed.installed.port:
        watches.at(placed.host.target, live.url).await_first()


def _offer(release: Release, placed: list[_Placed], rollout: Rollout, watches: Watches) -> None:
    """The canary: a share of the traffic first, on every host where there is some to share."""
    sharing = [one for one in placed if _can_share(release, one)]
    for share in rollout.canary_steps if sharing else ():
        for one in sharing:
            with _named(one.host, release):
                one.host.target.offer(release.service, release.id, one.installed.port, share)
        report_progress(Phase.DEPLOYMENT, 65, f"{release.id} gets {share} % of the traffic")
        guarded = [_guarded(release, one, _live_url(one), watches) for one in sharing]
        span = Span(f"{share} % of the traffic", rollout.canary_step_seconds, 65, 75)
        watch_share(guarded, span)


def _can_share(release: Release, placed: _Placed) -> bool:
    live = placed.host.ledger.state.live_release
    return live is not None and live.id != release.id and live.port == placed.installed.port


def _live_url(placed: _Placed) -> str:
    live = placed.host.ledger.state.live_release
    return live.url or "" if live else ""


def _switch(release: Release, placed: _Placed, watches: Watches) -> Guarded:
    """Phase two: the pointer moves."""
    target, ledger = placed.host
    with _named(placed.host, release):
        ledger.record(ledger.state.about_to_switch(release.id))
        url = target.switch(release.service, release.id, placed.installed.port)
        ledger.record(ledger.state.switched(release.id, url))
    report_progress(Phase.DEPLOYMENT, 80, f"{release.id} has the traffic of {url}")
    return _guarded(release, placed, url, watches)


def _guarded(release: Release, placed: _Placed, url: str, watches: Watches) -> Guarded:
    return Guarded(
        target=placed.host.target,
        release=release,
        private_url=placed.private_url,
        public_url=url,
        forerunner=placed.installed.replaced,
        watch=watches.at(placed.host.target, url),
    )


def _deployment(guarded: Guarded) -> Deployment:
    return Deployment(
        target=guarded.target.name,
        service=guarded.release.service,
        release_id=guarded.release.id,
        build_id=guarded.release.build_id,
        url=guarded.public_url,
        previous=guarded.forerunner,
        availability=guarded.watch.close(),
    )


def _is_proved(host: Host, deployment: Deployment) -> bool:
    state, release_id = host.ledger.state, deployment.release_id
    if state.live != release_id:
        _log.warning("%s is not live on %s any more: not proven", release_id, host.name)
        return False
    host.ledger.record(state.proved(release_id, deployment.build_id))
    return True


def _retire_superseded(host: Host) -> None:
    for release in host.ledger.state.superseded():
        host.target.stop(host.service, release.id)
    _remove_old(host)


def _can_retire(state: ServiceState, keep: int) -> bool:
    return state.live in state.proven and state.switching is None and bool(state.prunable(keep))


def _remove_old(host: Host) -> tuple[str, ...]:
    old = host.ledger.state.prunable(host.target.keep_releases)
    for release in old:
        host.target.archive(host.service, release.id)
        host.ledger.record(host.ledger.state.without({release.id}))
    return tuple(release.id for release in old)
