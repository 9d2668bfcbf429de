"""How many requests each upstream answered, and how many it failed."""

_MOST = 256  # of the upstreams of the past


class Tallies:
    """Counts since the process started, of the upstreams that were last in use.

    A failure is an answer of 500 and more, a request that got none, or a connection refused.
    """

    def __init__(self) -> None:
        self._of: dict[str, list[int]] = {}

    def answered(self, upstream: str, *, is_failure: bool) -> None:
        """One request was answered."""
        tally = self._of.get(upstream) or self._new(upstream)
        tally[1 if is_failure else 0] += 1

    def failed(self, upstream: str) -> None:
        """One request or connection was not."""
        self.answered(upstream, is_failure=True)

    def report(self) -> dict[str, dict[str, int]]:
        """Both counts by upstream."""
        return {
            upstream: {"answered": answered, "failed": failed}
            for upstream, (answered, failed) in self._of.items()
        }

    def _new(self, upstream: str) -> list[int]:
        if len(self._of) >= _MOST:
            del self._of[next(iter(self._of))]
        self._of[upstream] = [0, 0]
        return self._of[upstream]
