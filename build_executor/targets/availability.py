"""What users of a public address meet while traffic moves: measured, not promised."""

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from build_executor.models import Availability
from build_executor.targets.target import Target

_PAUSE_SECONDS = 0.01
_LATER_PAUSE_SECONDS = 0.05
_NEW_SECONDS = 5.0
_LEAST_PROBES = 5
_NOT_ASKED_SECONDS = 1.0


class Watch:
    """Asks again and again, in a thread of its own, until it is closed or its context ends.

    `ask` says which release answers, None if none does. What failed before anything ever answered
    does not count: nobody had a service to miss.
    """

    def __init__(self, ask: Callable[[], str | None]) -> None:
        self._ask = ask
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._stop = threading.Event()
        self._asked = threading.Semaphore(0)
        self._answered: list[float] = []
        self._seconds: list[float] = []
        self._seen: dict[str, float] = {}
        self._failed = 0
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()

    def await_first(self) -> None:
        """Return when something was answered, or soon."""
        self._asked.acquire(timeout=_NOT_ASKED_SECONDS)

    def close(self) -> Availability:
        """The figures; waits for a few answers first, so that the longest gap has two ends."""
        while self._asked.acquire(blocking=False):
            pass  # those were before
        for _ in range(_LEAST_PROBES):
            if self._stop.is_set() or not self._asked.acquire(timeout=_NOT_ASKED_SECONDS):
                break
        self._stop.set()
        return self.result()

    def result(self) -> Availability:
        """The figures so far."""
        answered, seconds = list(self._answered), list(self._seconds)
        pairs = itertools.pairwise(answered)
        return Availability(
            requests=len(answered) + self._failed,
            failed=self._failed,
            longest_gap_ms=round(1000 * max((b - a for a, b in pairs), default=0.0), 1),
            p99_ms=round(1000 * p99(seconds), 1),
        )

    def silence(self) -> float:
        """For how many seconds there has been no answer."""
        return time.monotonic() - (self._answered[-1] if self._answered else self._began)

    def last_seen(self, release_id: str) -> float:
        """When this release answered last, on the monotonic clock; 0 if it never did."""
        return self._seen.get(release_id, 0)

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            found = self._ask()
            if found is not None:
                self._answered.append(time.monotonic())
                self._seen[found] = self._answered[-1]
                self._seconds.append(self._answered[-1] - began)
            elif self._answered:
                self._failed += 1
            self._asked.release()
            self._stop.wait(self._pause(is_answered=found is not None))

    def _pause(self, *, is_answered: bool) -> float:
        """Short around a switch and while nobody answers; a long guard does not flood a log."""
        is_new = time.monotonic() - self._began < _NEW_SECONDS
        return _PAUSE_SECONDS if is_new or not is_answered else _LATER_PAUSE_SECONDS


class Watches:
    """What users meet at each host's public address while it is open."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._of: dict[str, Watch] = {}

    def at(self, target: Target, url: str) -> Watch:
        """The one of this host, opened when it is first asked for."""
        if target.name not in self._of:
            watch = Watch(lambda: target.answering(url))
            self._of[target.name] = self._stack.enter_context(watch)
        return self._of[target.name]

    def say(self) -> str:
        """The figures so far, for people."""
        results = [(name, watch.result()) for name, watch in self._of.items()]
        return "; ".join(
            f"{name}: {a.failed} of {a.requests} requests failed, none answered for at most"
            f" {a.longest_gap_ms:.0f} ms"
            for name, a in results
        )


def p99(seconds: list[float]) -> float:
    """The time within which 99 of 100 were answered; 0 without any."""
    return sorted(seconds)[-1 - len(seconds) // 100] if seconds else 0.0
