"""The minutes after a switch: a release that went wrong gives its traffic back by itself.

A green `/health` is not believed: while the release it replaced is still warm, the new one is
watched through its public and its private address, its process is watched, what users get from it
is compared with what they got before, and its contract is asked again.
"""

import contextvars
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, TypeVar

from build_executor.errors import BuildExecutorError, DeploymentFailed
from build_executor.events import report_progress
from build_executor.models import Check, Finding, Release
from build_executor.phases import Phase
from build_executor.targets.availability import Watch
from build_executor.targets.switch import Counts
from build_executor.targets.target import Target

Gate = Callable[[str], tuple[Check, ...]]

_PAUSE_SECONDS = 0.05
_LOOK_SECONDS = 0.25  # between looks at what costs more than a request
_SILENCE_SECONDS = 1.5
_MOST_MISSES = 3
_LEAST_FAILURES = 5  # before users' errors say anything
_MORE_FAILURES = 0.1  # on top of twice the share that the forerunner had
_T = TypeVar("_T")


class Guarded(NamedTuple):
    """A release that has traffic on one host; `forerunner` is the id of what it replaced."""

    target: Target
    release: Release
    private_url: str
    public_url: str
    forerunner: str | None
    watch: Watch


class Span(NamedTuple):
    """How long, under which name, and where in the phase's progress it lies."""

    name: str
    seconds: float
    from_percent: int
    to_percent: int


def guard(guarded: Sequence[Guarded], gate: Gate, span: Span) -> None:
    """Return when the time is over and no host showed a bad sign; DeploymentFailed at the first.

    The finding says what was seen, where, and how long after the switch. The contract is asked at
    the beginning and at the end, through the public address and, at the end, the private one too.
    """
    with _looking_out(guarded, "the switch") as (pool, since, signs, stopped):
        signs += [_submit(pool, _asked(one, one.public_url, gate, since)) for one in guarded]
        _wait(signs, since.began, span)
        last = [(one, url) for one in guarded for url in (one.public_url, one.private_url)]
        asked = [_submit(pool, _asked(one, url, gate, since)) for one, url in last]
        _settle(signs, asked, stopped)


def watch_share(guarded: Sequence[Guarded], span: Span) -> None:
    """The same for a release that has only a share of the traffic; its contract is not asked."""
    with _looking_out(guarded, "it was offered") as (_, since, signs, stopped):
        _wait(signs, since.began, span)
        _settle(signs, [], stopped)


def findings_of(checks: tuple[Check, ...], gate: str, when: str = "") -> tuple[Finding, ...]:
    """One finding for each check that failed; one that says so if nothing was asked."""
    if not checks:
        return (Finding(gate=gate, rule="contract", message=f"{when}nothing was asked"),)
    return tuple(
        Finding(gate=gate, rule=check.name, message=f"{when}{check.detail or 'failed'}")
        for check in checks
        if not check.passed
    )


class _Since(NamedTuple):
    """How long ago something happened."""

    began: float
    event: str

    def __str__(self) -> str:
        return f"{time.monotonic() - self.began:.1f} s after {self.event}"


class _Lookout:
    """Looks for bad signs on one host.

    A process whose end nobody has noticed yet answers nothing: the pulse is taken often, and apart
    from what takes longer, such as asking an engine that is busy with the same crash.
    """

    def __init__(self, guarded: Guarded, since: _Since) -> None:
        self._guarded, self._since = guarded, since
        self._answered = self._missed_at = since.began
        self._misses = 0
        self._looked = 0.0
        self._probes = guarded.watch.result().requests
        self._before, self._forerunner = Counts(), 0.0

    def signs(self, stopped: threading.Event) -> list[Callable[[], tuple[Finding, ...]]]:
        """What to run at the same time until `stopped`; each returns what it saw first."""
        return [partial(self._until, stopped, look) for look in (self._pulse, self._closer_look)]

    def _until(
        self, stopped: threading.Event, look: Callable[[], tuple[str, str] | None]
    ) -> tuple[Finding, ...]:
        try:
            while (seen := look()) is None and not stopped.wait(_PAUSE_SECONDS):
                pass
        except (BuildExecutorError, OSError) as error:
            seen = ("lost", str(error))
        if seen is None:
            return ()
        message = f"{self._since} on {self._guarded.target.name}: {seen[1]}"
        return (Finding(gate="guard", rule=seen[0], message=message),)

    def _pulse(self) -> tuple[str, str] | None:
        release_id, now = self._guarded.release.id, time.monotonic()
        found = self._guarded.target.answering(self._guarded.private_url)
        if found not in {None, release_id}:
            return "marker", f"{found} answers instead of {release_id}"
        if found is not None:
            self._answered, self._misses = now, 0
        else:
            self._missed_at = self._missed_at if self._misses else now
            self._misses += 1
        return self._silence()

    def _silence(self) -> tuple[str, str] | None:
        """Users who are answered count more than a way to the host that may be broken."""
        seen = self._guarded.watch.last_seen(self._guarded.release.id)
        if self._misses >= _MOST_MISSES and seen < self._missed_at:
            return "silence", f"{self._misses} requests in a row had no healthy answer"
        silence = time.monotonic() - max(self._answered, seen)
        silence = max(silence, self._guarded.watch.silence())
        if silence > _SILENCE_SECONDS:
            return "silence", f"no healthy answer for {silence:.1f} s"
        return None

    def _closer_look(self) -> tuple[str, str] | None:
        now = time.monotonic()
        if not self._misses and now - self._looked < _LOOK_SECONDS:
            return None
        target, release = self._guarded.target, self._guarded.release
        if not self._looked:
            self._before = self._counts_of(release.id)
            self._forerunner = _share(self._counts_of(self._guarded.forerunner))
        self._looked = now
        complaint = target.complaint(release.service, release.id)
        return self._errors() if complaint is None else ("crash", complaint)

    def _errors(self) -> tuple[str, str] | None:
        """Whether users meet more errors than with the forerunner; our own probes do not count."""
        now = self._counts_of(self._guarded.release.id)
        probes = self._guarded.watch.result().requests - self._probes
        failed = now.failed - self._before.failed
        answered = max(0, now.answered - self._before.answered - probes)
        share = _share(Counts(answered=answered, failed=failed))
        if failed < _LEAST_FAILURES or share <= 2 * self._forerunner + _MORE_FAILURES:
            return None
        asked = answered + failed
        return "errors", f"{failed} of {asked} requests failed (before: {self._forerunner:.0%})"

    def _counts_of(self, release_id: str | None) -> Counts:
        if release_id is None:
            return Counts()
        return self._guarded.target.counts(self._guarded.release.service, release_id)


class _Outlook(NamedTuple):
    """What looks for bad signs: `signs` are over once they have seen one, or `stopped` is set."""

    pool: ThreadPoolExecutor
    since: _Since
    signs: list[Future[tuple[Finding, ...]]]
    stopped: threading.Event


@contextmanager
def _looking_out(guarded: Sequence[Guarded], event: str) -> Iterator[_Outlook]:
    """Look out on every host; whoever goes back does not wait for those who still look."""
    since, stopped = _Since(time.monotonic(), event), threading.Event()
    pool = ThreadPoolExecutor(max_workers=5 * len(guarded))
    looks = [look for one in guarded for look in _Lookout(one, since).signs(stopped)]
    try:
        yield _Outlook(pool, since, [_submit(pool, look) for look in looks], stopped)
    finally:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _asked(
    guarded: Guarded, url: str, gate: Gate, since: _Since
) -> Callable[[], tuple[Finding, ...]]:
    """The contract, asked at this address."""

    def ask() -> tuple[Finding, ...]:
        when = f"{since} on {guarded.target.name}: "
        try:
            return findings_of(gate(url), "guard", when)
        except (BuildExecutorError, OSError) as error:
            return (Finding(gate="guard", rule="contract", message=f"{when}{error}"),)

    return ask


def _wait(signs: Sequence[Future[tuple[Finding, ...]]], began: float, span: Span) -> None:
    """Return when the time is over; DeploymentFailed as soon as one of the signs is bad."""
    end = began + span.seconds
    while (left := end - time.monotonic()) > 0:
        pending = [sign for sign in signs if not sign.done()]
        wait(pending, timeout=min(1, left), return_when=FIRST_COMPLETED)
        _raise_if_bad(signs)
        passed = min(span.seconds, time.monotonic() - began)
        percent = (span.to_percent - span.from_percent) * passed / span.seconds
        message = f"{span.name}: {passed:.0f} of {span.seconds:g} s without a bad sign"
        report_progress(Phase.DEPLOYMENT, span.from_percent + int(percent), message)


def _settle(
    signs: list[Future[tuple[Finding, ...]]],
    asked: list[Future[tuple[Finding, ...]]],
    stopped: threading.Event,
) -> None:
    """Wait until what was asked is answered, then for the last look of the lookouts."""
    while any(not one.done() for one in asked):
        wait([one for one in (*signs, *asked) if not one.done()], return_when=FIRST_COMPLETED)
        _raise_if_bad((*signs, *asked))
    stopped.set()
    wait(signs)
    _raise_if_bad((*signs, *asked))


def _raise_if_bad(signs: Sequence[Future[tuple[Finding, ...]]]) -> None:
    found = [finding for sign in signs if sign.done() for finding in sign.result()]
    if found:
        raise DeploymentFailed("the release went wrong after it had passed the gate", found)


def _submit(pool: ThreadPoolExecutor, work: Callable[[], _T]) -> Future[_T]:
    """Let it run with this thread's context, in which the log knows its build."""
    return pool.submit(contextvars.copy_context().run, work)


def _share(counts: Counts) -> float:
    return counts.failed / max(1, counts.answered + counts.failed)
