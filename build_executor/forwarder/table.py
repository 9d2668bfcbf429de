"""Which service is reached by which public port, and where its connections go.

A route is one pointer; new connections follow it at once. The table is written before it takes
effect, by rename and with the one before it as a spare, and each entry is read back on its own: a
damaged file must not cost every service its address.
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from build_executor.forwarder.connection import RETRY_SECONDS, Connection, Side

_PUBLIC_HOST = "127.0.0.1"
_BACKLOG = 1024
_REBIND_SECONDS = 0.2


class Refused(Exception):
    """What was asked for cannot be done; the text says why."""


class Route(NamedTuple):
    """The pointer of one service. `fence` is the number of the deploy lock that set it."""

    port: int
    upstream: str
    release: str
    fence: int

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """The route in a request or in the state file; Refused if it is none."""
        try:
            return cls(
                port=int(entry["port"]),
                upstream=str(entry["upstream"]),
                release=str(entry["release"]),
                fence=int(entry["fence"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(f"not a route: {error!r}") from error


class Forwarder:
    """The routing table with its listeners and connections."""

    def __init__(self, state: Path, *, hold_seconds: float) -> None:
        self._state, self._hold_seconds = state, hold_seconds
        self._routes: dict[str, Route] = {}
        self._fences: dict[str, int] = {}
        self._listeners: dict[str, tuple[int, asyncio.Server]] = {}
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def restore(self) -> None:
        """Read the table back; a port that is not free yet is tried again until it is."""
        self._routes, self._fences = read_table(self._state)
        for service in self._routes:
            self._spawn(self._listen_until_bound(service))

    def status(self) -> dict[str, Any]:
        """The routes, and how many connections each upstream still has."""
        return {
            "pid": os.getpid(),
            "routes": {
                service: {**route._asdict(), "listening": service in self._listeners}
                for service, route in self._routes.items()
            },
            "in_flight": dict(Counter(c.upstream for c in self._connections if c.upstream)),
            "held": sum(c.upstream is None for c in self._connections),
        }

    async def point(self, service: str, route: Route) -> None:
        """Send new connections of the service there; Refused if its port is somebody else's."""
        self._check_fence(service, route.fence)
        old = self._listeners.get(service)
        listener = old
        if listener is None or listener[0] != route.port:
            listener = (route.port, await self._listen(service, route.port))
        try:
            self._keep({**self._routes, service: route}, {**self._fences, service: route.fence})
        except OSError:
            if listener is not old:
                listener[1].close()
            raise
        self._listeners[service] = listener
        if old is not None and old is not listener:
            old[1].close()

    def remove(self, service: str, fence: int) -> None:
        """Give the public port back; what is already forwarded goes on."""
        self._check_fence(service, fence)
        routes = {name: route for name, route in self._routes.items() if name != service}
        self._keep(routes, {**self._fences, service: fence})
        listener = self._listeners.pop(service, None)
        if listener is not None:
            listener[1].close()

    async def drain(self, upstream: str, seconds: float) -> int:
        """Wait until the upstream owes no answer; how many had to be cut off at the deadline."""
        deadline = time.monotonic() + seconds
        while left := [c for c in self._connections if c.upstream == upstream]:
            for connection in left:
                if connection.is_idle():
                    connection.end()
            if time.monotonic() > deadline:
                for connection in left:
                    connection.cut()
                return len(left)
            await asyncio.sleep(RETRY_SECONDS)
        return 0

    def close(self) -> None:
        """Give all ports back and end all connections."""
        for _, listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        self._routes.clear()
        for task in self._tasks:
            task.cancel()
        for connection in self._connections:
            connection.cut()

    def _check_fence(self, service: str, fence: int) -> None:
        known = self._fences.get(service, 0)
        if fence < known:
            raise Refused(f"a later deployment of {service} has taken over ({fence} < {known})")

    def _keep(self, routes: dict[str, Route], fences: dict[str, int]) -> None:
        write_table(self._state, routes, fences)
        self._routes, self._fences = routes, fences

    async def _listen(self, service: str, port: int) -> asyncio.Server:
        # asyncio sets TCP_NODELAY only on sockets that say they are TCP
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_PUBLIC_HOST, port))
            return await asyncio.get_running_loop().create_server(
                lambda: self._accept(service), sock=listener, backlog=_BACKLOG
            )
        except OSError as error:
            listener.close()
            raise Refused(f"port {port} cannot be opened: {error.strerror}") from error

    async def _listen_until_bound(self, service: str) -> None:
        while (route := self._routes.get(service)) and service not in self._listeners:
            try:
                self._listeners[service] = (route.port, await self._listen(service, route.port))
            except Refused as refused:
                print(f"{service}: {refused}", file=sys.stderr, flush=True)  # noqa: T201 - its log
                await asyncio.sleep(_REBIND_SECONDS)

    def _accept(self, service: str) -> Side:
        connection = Connection(lambda: self._upstream(service), hold_seconds=self._hold_seconds)
        self._spawn(self._forward(connection))
        return connection.client

    def _upstream(self, service: str) -> str | None:
        route = self._routes.get(service)
        return route.upstream if route else None

    async def _forward(self, connection: Connection) -> None:
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def read_table(state: Path) -> tuple[dict[str, Route], dict[str, int]]:
    """The routes and fences of the state file, or of its spare if it is damaged."""
    for path in (state, _spare(state)):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            table = json.loads(path.read_bytes())
            fences = {str(name): int(fence) for name, fence in table["fences"].items()}
            return _readable(table["routes"]), fences
    return {}, {}


def write_table(state: Path, routes: Mapping[str, Route], fences: Mapping[str, int]) -> None:
    """Put the table in the state file's place, durably; what was there becomes the spare."""
    temporary = state.with_name(f"{state.name}.new")
    table = {"routes": {name: r._asdict() for name, r in routes.items()}, "fences": dict(fences)}
    with temporary.open("w") as stream:
        json.dump(table, stream)
        stream.flush()
        os.fsync(stream.fileno())
    if state.exists():
        link = state.with_name(f"{state.name}.link")
        link.unlink(missing_ok=True)
        link.hardlink_to(state)
        link.replace(_spare(state))
    temporary.replace(state)


def _readable(entries: Mapping[str, Any]) -> dict[str, Route]:
    routes = {}
    for service, entry in entries.items():
        try:
            routes[service] = Route.read(entry)
        except Refused as refused:
            print(f"{service}: {refused}", file=sys.stderr, flush=True)  # noqa: T201 - its log
    return routes


def _spare(state: Path) -> Path:
    return state.with_name(f"{state.name}.previous")
