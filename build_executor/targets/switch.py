"""Who owns the public ports of a target: a small protocol, and the embedded switch's client."""

from typing import Any, Protocol

from pydantic import Field

from build_executor.errors import DeploymentFailed
from build_executor.models import Value

_CALL_SECONDS = 5.0


class Candidate(Value):
    """A second release of a route, and which of its new connections go there.

    `share` is their percentage (canary); `header` and `cookie` are a name and a value that a
    connection's first request has (A/B); `preview_port` is a public port of its own (blue-green).
    """

    upstream: str
    release: str
    share: int = Field(default=0, ge=0, le=99)
    header: tuple[str, str] | None = None
    cookie: tuple[str, str] | None = None
    preview_port: int | None = None


class Trial(Value):
    """Who meets a candidate beside its share of the connections, on every route.

    `port_offset` is how far its preview port is above the service's own port.
    """

    header: tuple[str, str] | None = None
    cookie: tuple[str, str] | None = None
    port_offset: int | None = None

    def candidate(self, upstream: str, release: str, share: int, port: int) -> Candidate:
        """The candidate for the service on this port."""
        return Candidate(
            upstream=upstream,
            release=release,
            share=share,
            header=self.header,
            cookie=self.cookie,
            preview_port=None if self.port_offset is None else port + self.port_offset,
        )


class Route(Value):
    """A service's public port and where its connections go; `upstream` is host:port.

    `fence` is the number of the deploy lock under which it is set.
    """

    service: str
    port: int
    upstream: str
    release: str
    fence: int
    candidate: Candidate | None = None


class Counts(Value):
    """What an upstream made of its requests since the switch started.

    `failed` are answers of 500 and more, requests without an answer, and refused connections.
    """

    answered: int = 0
    failed: int = 0


class Switch(Protocol):
    """Owns public ports and sends their connections to private addresses.

    DeploymentFailed when it cannot; a fence lower than the last one is refused.
    """

    def routes(self) -> dict[str, Route]:
        """What is routed now, by service."""
        ...

    def point(self, route: Route) -> None:
        """Send new connections there; the others stay where they are.

        It replaces the whole route at once: a candidate is promoted by making it the upstream of a
        route without one.
        """
        ...

    def remove(self, service: str, fence: int) -> None:
        """Give the service's public port back."""
        ...

    def drain(self, upstream: str, seconds: float) -> None:
        """Return when nobody waits for an answer of `upstream` any more, or time is over."""
        ...

    def counts(self, upstream: str) -> Counts:
        """How `upstream` has answered; compare two of them, they begin anew with the switch."""
        ...


class SwitchProcess(Protocol):
    """The forwarder, wherever it is kept running."""

    def exists(self) -> bool:
        """Whether it was ever started: if not, it has no routes."""
        ...

    def ensure_running(self) -> None:
        """Return when it answers; DeploymentFailed if it does not come up."""
        ...

    def ask(self, command: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Its answer to one admin command, `ok` in it; DeploymentFailed if it has none."""
        ...


class EmbeddedSwitch:
    """The forwarder as a switch; it is started when first needed."""

    def __init__(self, process: SwitchProcess) -> None:
        self._process = process

    def routes(self) -> dict[str, Route]:
        """What is routed now; the switch is started if it ever had a route."""
        if not self._process.exists():
            return {}
        self._process.ensure_running()
        answer = self._order({"do": "status"})
        return {
            service: Route(
                service=service,
                **{name: value for name, value in entry.items() if name != "listening"},
            )
            for service, entry in answer["routes"].items()
        }

    def point(self, route: Route) -> None:
        """Send new connections there."""
        self._process.ensure_running()
        self._order({"do": "point", **route.model_dump()})

    def remove(self, service: str, fence: int) -> None:
        """Give the service's public port back."""
        if service in self.routes():
            self._order({"do": "remove", "service": service, "fence": fence})

    def drain(self, upstream: str, seconds: float) -> None:
        """Return when nobody waits for an answer of `upstream` any more, or time is over."""
        if self.routes():
            command = {"do": "drain", "upstream": upstream, "seconds": seconds}
            self._order(command, seconds + _CALL_SECONDS)

    def counts(self, upstream: str) -> Counts:
        """How `upstream` has answered since the switch started."""
        if not self._process.exists():
            return Counts()
        return Counts(**self._order({"do": "status"}).get("counts", {}).get(upstream, {}))

    def _order(self, command: dict[str, Any], seconds: float = _CALL_SECONDS) -> dict[str, Any]:
        answer = self._process.ask(command, seconds)
        if not answer["ok"]:
            raise DeploymentFailed(f"the switch refuses: {answer['error']}")
        return answer
