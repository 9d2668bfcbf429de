"""Which of a route's upstreams a new connection goes to.

Who is a candidate's is decided once, by the first request on a connection or by turn, and holds as
long as the connection does: an HTTP client that keeps its connection keeps its release as well.
"""

from collections.abc import Callable
from typing import Protocol

from build_executor.forwarder.routes import Candidate, Route

_ALL = 100


class Way(Protocol):
    """Where the connections of one public port go."""

    def reads_head(self) -> bool:
        """Whether `choose` needs the head of the first request."""
        ...

    def choose(self, head: bytes) -> str | None:
        """The upstream (host:port) of a new connection; None when the service is gone."""
        ...

    def upstream(self) -> str | None:
        """The upstream for one whose choice accepts nobody; None when the service is gone."""
        ...

    def leads_to(self, upstream: str) -> bool:
        """Whether connections of this port may still be there."""
        ...


class PublicWay:
    """The port of a service: its upstream, and for some its candidate.

    Turns are evenly spread: with a share of 25 it is every fourth connection, never a cluster.
    """

    def __init__(self, route: Callable[[], Route | None]) -> None:
        self._route = route
        self._owed = 0

    def reads_head(self) -> bool:
        """Only a header or a cookie is worth the wait."""
        route = self._route()
        candidate = route.candidate if route else None
        return candidate is not None and bool(candidate.header or candidate.cookie)

    def choose(self, head: bytes) -> str | None:
        """The candidate for those that ask for it and those whose turn it is."""
        route = self._route()
        candidate = route.candidate if route else None
        if candidate is not None and (_asks_for(candidate, head) or self._is_turn(candidate)):
            return candidate.upstream
        return self.upstream()

    def upstream(self) -> str | None:
        """The upstream that is not on trial."""
        route = self._route()
        return route.upstream if route else None

    def leads_to(self, upstream: str) -> bool:
        """Both are as good as the other."""
        route = self._route()
        if route is None:
            return False
        candidate = route.candidate
        return upstream == route.upstream or (
            candidate is not None and upstream == candidate.upstream
        )

    def _is_turn(self, candidate: Candidate) -> bool:
        self._owed += candidate.share
        if self._owed < _ALL:
            return False
        self._owed -= _ALL
        return True


class PreviewWay:
    """The preview port: the candidate and nothing else."""

    def __init__(self, route: Callable[[], Route | None]) -> None:
        self._route = route

    def reads_head(self) -> bool:
        """There is nothing to choose."""
        return False

    def choose(self, head: bytes) -> str | None:  # noqa: ARG002 - there is nothing to choose
        """The candidate."""
        return self.upstream()

    def upstream(self) -> str | None:
        """The candidate, until it is withdrawn or promoted."""
        route = self._route()
        return route.candidate.upstream if route and route.candidate else None

    def leads_to(self, upstream: str) -> bool:
        """Whether it is still the candidate."""
        return upstream == self.upstream()


def _asks_for(candidate: Candidate, head: bytes) -> bool:
    """Whether the first request, as far as it is known, has the candidate's header or cookie."""
    if not candidate.header and not candidate.cookie:
        return False
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        if candidate.header and (name, value) == (candidate.header[0].lower(), candidate.header[1]):
            return True
        if candidate.cookie and name == "cookie" and "=".join(candidate.cookie) in _cookies(value):
            return True
    return False


def _cookies(value: str) -> list[str]:
    return [cookie.strip() for cookie in value.split(";")]
