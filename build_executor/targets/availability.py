"""What users of a public address meet while traffic moves: measured, not promised."""

import threading
import time
from types import TracebackType
from typing import Self

from build_executor.models import Availability
from build_executor.targets.probing import release_at

_PAUSE_SECONDS = 0.01
_LEAST_PROBES = 5


class Watch:
    """Asks for `/health` at `url` in a thread of its own for as long as the context lasts.

    Before and after whatever happens in between it waits for a few answers, so that the longest
    gap has two ends.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._stop = threading.Event()
        self._asked = threading.Semaphore(0)
        self._answered: list[float] = []
        self._seconds: list[float] = []
        self._requests = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._asked.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for _ in range(_LEAST_PROBES):
            self._asked.acquire(timeout=1)
        self._stop.set()
        self._thread.join()

    def result(self) -> Availability:
        """The figures so far."""
        pairs = zip(self._answered, self._answered[1:], strict=False)
        return Availability(
            requests=self._requests,
            failed=self._requests - len(self._answered),
            longest_gap_ms=round(1000 * max((b - a for a, b in pairs), default=0.0), 1),
            p99_ms=round(1000 * _p99(self._seconds), 1),
        )

    def _ask(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            found = release_at(self._url)
            self._requests += 1
            if found is not None:
                self._answered.append(time.monotonic())
                self._seconds.append(self._answered[-1] - began)
            self._asked.release()
            self._stop.wait(_PAUSE_SECONDS)


def _p99(seconds: list[float]) -> float:
    """The time within which 99 of 100 were answered; 0 without any."""
    return sorted(seconds)[-max(1, len(seconds) // 100)] if seconds else 0.0
