"""Caddy as the switch, on hosts that have one: over its admin API, beside whatever else it serves.

It has to be started with `--resume` (Debian's `caddy-api.service` is): a Caddy that reads a file
at its start forgets what the API told it before.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from build_executor.errors import DeploymentFailed
from build_executor.targets.caddy_admin import CaddyAdmin
from build_executor.targets.caddy_config import (
    fence_in,
    routes_in,
    server_of,
    with_route,
    without_route,
)
from build_executor.targets.caddy_metrics import counted
from build_executor.targets.switch import Counts, Route

_TRIES = 50
_POLL_SECONDS = 0.05

Json = dict[str, Any]


class CaddySwitch:
    """Routes as servers of a Caddy; their ports are those of `host`."""

    def __init__(self, admin: CaddyAdmin, host: str = "127.0.0.1") -> None:
        self._admin, self._host = admin, host

    def routes(self) -> dict[str, Route]:
        """What is routed now, by service."""
        return routes_in(self._admin.read()[0])

    def point(self, route: Route) -> None:
        """Send new requests there; the whole route is replaced at once."""
        self._change(
            route.service, route.fence, lambda config: with_route(config, route, self._host)
        )

    def remove(self, service: str, fence: int) -> None:
        """Give the service's public port back."""
        self._change(service, fence, lambda config: without_route(config, service, fence))

    def drain(self, upstream: str, seconds: float) -> None:
        """Return when nobody waits for an answer of `upstream` any more, or time is over."""
        deadline = time.monotonic() + seconds
        while self._admin.in_flight(upstream) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def counts(self, upstream: str) -> Counts:
        """How the service answered, for as long as `upstream` alone answers for it.

        Caddy counts by server; while there is a candidate nobody knows whose answers they are.
        """
        for service, route in self.routes().items():
            if route.upstream == upstream and route.candidate is None:
                return counted(self._admin.metrics(), server_of(service))
        return Counts()

    def _change(
        self, service: str, fence: int, changed: Callable[[Mapping[str, Any]], Json]
    ) -> None:
        for _ in range(_TRIES):
            config, tag = self._admin.read()
            known = fence_in(config, service)
            if fence < known:
                raise DeploymentFailed(
                    f"the switch refuses: a later deployment of {service} has taken over "
                    f"({fence} < {known})"
                )
            wanted = changed(config)
            if wanted == config or self._admin.write(wanted, tag):
                return
        raise DeploymentFailed(f"others change Caddy all the time: {service} is not switched")
