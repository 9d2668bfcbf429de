"""Moving the traffic of a host to a release that is installed there, and reading that it came."""

import logging
from typing import NamedTuple

from build_executor.errors import BuildExecutorError
from build_executor.models import RollbackProof
from build_executor.targets.availability import Watch
from build_executor.targets.state import InstalledRelease, ServiceState
from build_executor.targets.store import Ledger
from build_executor.targets.target import Target

GOOD_ANSWERS = 5
NO_WAY = (BuildExecutorError, OSError)
_log = logging.getLogger(__name__)


class Host(NamedTuple):
    """A host of a target, with the deploy lock of one service in hand."""

    target: Target
    ledger: Ledger

    @property
    def name(self) -> str:
        """The name of its target."""
        return self.target.name

    @property
    def service(self) -> str:
        """The service whose lock it is."""
        return self.ledger.state.service


class Moved(NamedTuple):
    """The state to record after traffic was moved, and what was read of it."""

    state: ServiceState
    proof: RollbackProof


def starts(host: Host, release_id: str) -> bool:
    """Whether this release answers at its private address, once it was started if need be."""
    try:
        host.target.start(host.service, release_id)
    except NO_WAY as error:
        _log.warning("%s does not start on %s: %s", release_id, host.name, error)
        return False
    return True


def is_reachable(host: Host) -> bool:
    """Whether the host answers at all; the log says so loudly if not."""
    try:
        host.target.read(host.service)
    except NO_WAY as error:
        _log.error("%s cannot be reached: repeat the roll-back when it can: %s", host.name, error)
        return False
    return True


def moved_to(host: Host, release: InstalledRelease) -> Moved | None:
    """Traffic moved to this release and proved to be there; None if it does not answer."""
    url = (host.ledger.state.live_release or release).url
    with Watch(lambda: host.target.answering(url) if url else None) as watch:
        if (good := _switched(host, release)) is None:
            return None
        availability = watch.close()
    proof = RollbackProof(
        release=release.id,
        url=good,
        good_answers=GOOD_ANSWERS,
        availability=availability if availability.requests else None,
    )
    return Moved(host.ledger.state.switched(release.id, good), proof)


def _switched(host: Host, release: InstalledRelease) -> str | None:
    """The public URL where this release gave good answers only; None if it did not."""
    try:
        host.target.start(host.service, release.id)
        host.ledger.record(host.ledger.state.about_to_switch(release.id))
        url = host.target.switch(host.service, release.id, release.port)
    except NO_WAY as error:
        _log.warning("cannot move %s to %s: %s", host.service, release.id, error)
        return None
    if (good := _good_answers(host.target, url, release.id)) < GOOD_ANSWERS:
        _log.warning("%s answered only %d times at %s", release.id, good, url)
        return None
    return url


def _good_answers(target: Target, url: str, release_id: str) -> int:
    for count in range(GOOD_ANSWERS):
        if target.answering(url) != release_id:
            return count
    return GOOD_ANSWERS
