"""How many requests each upstream answered, and how many it failed."""

import time

_LATELY_SECONDS = 0.5
_MOST = 256  # of the upstreams of the past


class Tallies:
    """Counts since the process started, of the upstreams that were last in use.

    A failure is an answer of 500 and more, a request that got none, or a connection refused.
    """

    def __init__(self) -> None:
        self._of: dict[str, list[int]] = {}
        self._last: dict[str, float] = {}

    def answered(self, upstream: str, *, is_failure: bool) -> None:
        """One request was answered."""
        self._tally(upstream)[1 if is_failure else 0] += 1
        self._last[upstream] = time.monotonic()

    def failed(self, upstream: str) -> None:
        """One request or connection was not."""
        self._tally(upstream)[1] += 1

    def answers_now(self, upstream: str) -> bool:
        """Whether it has answered somebody within the last half second."""
        last = self._last.get(upstream)
        return last is not None and time.monotonic() - last < _LATELY_SECONDS

    def report(self) -> dict[str, dict[str, int]]:
        """Both counts by upstream."""
        return {
            upstream: {"answered": answered, "failed": failed}
            for upstream, (answered, failed) in self._of.items()
        }

    def _tally(self, upstream: str) -> list[int]:
        if upstream not in self._of:
            if len(self._of) >= _MOST:
                oldest = next(iter(self._of))
                del self._of[oldest]
                self._last.pop(oldest, None)
            self._of[upstream] = [0, 0]
        return self._of[upstream]
