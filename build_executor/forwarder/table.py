"""Which service is reached by which public port, and where its connections go.

A route is one pointer; new connections follow it at once. The table is written before it takes
effect.
"""

import asyncio
import os
import socket
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from build_executor.forwarder.connection import RETRY_SECONDS, Connection, Patience
from build_executor.forwarder.crowd import Crowd
from build_executor.forwarder.routes import Refused, Route, read_table, write_table
from build_executor.forwarder.side import Side
from build_executor.forwarder.tallies import Tallies
from build_executor.forwarder.ways import PreviewWay, PublicWay, Way

_BACKLOG = 1024
_REBIND_SECONDS = 0.2
_FAREWELL_SECONDS = 1.0


class Door(NamedTuple):
    """A public port of a service: the one its users know, or the preview of its candidate."""

    service: str
    is_preview: bool = False


class Listener(NamedTuple):
    """A port that is open."""

    port: int
    server: asyncio.Server


class Forwarder:
    """The routing table with its listeners and connections; public ports are those of `host`."""

    def __init__(self, state: Path, *, patience: Patience, host: str) -> None:
        self._state, self._patience, self._host = state, patience, host
        self._routes: dict[str, Route] = {}
        self._fences: dict[str, int] = {}
        self._listeners: dict[Door, Listener] = {}
        self._connections: set[Connection] = set()
        self._crowds: defaultdict[str, Crowd] = defaultdict(Crowd)
        self._tasks: set[asyncio.Task[None]] = set()
        self._tallies = Tallies()
        self._changing = asyncio.Lock()
        self._is_shut = False

    async def restore(self) -> None:
        """Read the table back and open its ports; one that is not free yet is tried again."""
        self._routes, self._fences = read_table(self._state)
        for service, route in self._routes.items():
            for door in _doors(service, route):
                if not await self._is_bound(door):
                    self._spawn(self._listen_until_bound(door))

    def status(self) -> dict[str, Any]:
        """The routes, how many connections each upstream still has, and how it answered so far."""
        return {
            "pid": os.getpid(),
            "routes": {
                service: {
                    **route.entry(),
                    "listening": all(door in self._listeners for door in _doors(service, route)),
                }
                for service, route in self._routes.items()
            },
            "in_flight": dict(Counter(c.upstream for c in self._connections if c.upstream)),
            "held": sum(c.upstream is None for c in self._connections),
            "counts": self._tallies.report(),
        }

    async def point(self, service: str, route: Route) -> None:
        """Send new connections of the service there; Refused if a port is somebody else's."""
        async with self._changing:
            self._check_fence(service, route.fence)
            opened = await self._open_all(_doors(service, route))
            try:
                self._keep({**self._routes, service: route}, {**self._fences, service: route.fence})
            except (OSError, Refused):
                self._close_new(opened)
                raise
            self._use(service, opened)

    async def remove(self, service: str, fence: int) -> None:
        """Give the public ports back; what is already forwarded goes on."""
        async with self._changing:
            self._check_fence(service, fence)
            routes = {name: route for name, route in self._routes.items() if name != service}
            self._keep(routes, {**self._fences, service: fence})
            self._use(service, {})

    async def drain(self, upstream: str, seconds: float) -> int:
        """Wait until the upstream owes no answer; how many had to be cut off in the end.

        WebSockets are asked to end when the time is over.
        """
        deadline = time.monotonic() + seconds
        while left := self._connections_of(upstream):
            for connection in left:
                if connection.is_idle():
                    connection.end()
            if time.monotonic() > deadline:
                return await self._end_all(upstream)
            await asyncio.sleep(RETRY_SECONDS)
        return 0

    def shut(self) -> None:
        """Give all ports back; from here on the table belongs to another process."""
        self._is_shut = True
        _close(self._listeners)
        self._listeners.clear()
        self._routes.clear()

    async def leave(self) -> None:
        """Once shut: end each connection when it owes no answer, or when the time is over."""
        deadline = time.monotonic() + self._patience.leave
        while self._connections and time.monotonic() < deadline:
            for connection in self._connections:
                if connection.is_idle():
                    connection.end()
                connection.dismiss()
            await asyncio.sleep(RETRY_SECONDS)
        for task in self._tasks:
            task.cancel()
        for connection in self._connections:
            connection.cut()

    def _check_fence(self, service: str, fence: int) -> None:
        known = self._fences.get(service, 0)
        if fence < known:
            raise Refused(f"a later deployment of {service} has taken over ({fence} < {known})")

    def _keep(self, routes: dict[str, Route], fences: dict[str, int]) -> None:
        if self._is_shut:
            raise Refused("the switch is ending")
        write_table(self._state, routes, fences)
        self._routes, self._fences = routes, fences

    async def _open_all(self, doors: Mapping[Door, int]) -> dict[Door, Listener]:
        """A listener for each; those that are open on the same port stay as they are."""
        opened: dict[Door, Listener] = {}
        for door, port in doors.items():
            known = self._listeners.get(door)
            try:
                opened[door] = (
                    known if known and known.port == port else await self._open(door, port)
                )
            except Refused:
                self._close_new(opened)
                raise
        return opened

    def _close_new(self, opened: Mapping[Door, Listener]) -> None:
        _close({d: one for d, one in opened.items() if self._listeners.get(d) is not one})

    def _use(self, service: str, opened: Mapping[Door, Listener]) -> None:
        """Let these be the service's listeners, and close those it had besides."""
        before = {door: one for door, one in self._listeners.items() if door.service == service}
        for door in before:
            del self._listeners[door]
        self._listeners.update(opened)
        _close({door: one for door, one in before.items() if opened.get(door) is not one})

    async def _open(self, door: Door, port: int) -> Listener:
        # asyncio sets TCP_NODELAY only on sockets that say they are TCP
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        way = self._way(door)
        try:
            listener.bind((self._host, port))
            server = await asyncio.get_running_loop().create_server(
                lambda: self._accept(door, way), sock=listener, backlog=_BACKLOG
            )
        except OSError as error:
            listener.close()
            raise Refused(f"port {port} cannot be opened: {error.strerror}") from error
        return Listener(port, server)

    async def _listen_until_bound(self, door: Door) -> None:
        while True:
            await asyncio.sleep(_REBIND_SECONDS)
            if await self._is_bound(door):
                return

    async def _is_bound(self, door: Door) -> bool:
        """Whether the port is open now, or wanted no more."""
        async with self._changing:
            route = self._routes.get(door.service)
            port = _doors(door.service, route).get(door) if route else None
            if port is None or door in self._listeners:
                return True
            try:
                self._listeners[door] = await self._open(door, port)
            except Refused as refused:
                print(f"{door.service}: {refused}", file=sys.stderr, flush=True)  # noqa: T201 - its log
                return False
            return True

    def _way(self, door: Door) -> Way:
        kind = PreviewWay if door.is_preview else PublicWay
        return kind(lambda: self._routes.get(door.service))

    def _accept(self, door: Door, way: Way) -> Side:
        crowd = self._crowds[door.service]
        connection = Connection(way, crowd, self._tallies, self._patience)
        self._spawn(self._forward(connection, crowd))
        return connection.client

    def _connections_of(self, upstream: str) -> list[Connection]:
        return [c for c in self._connections if c.upstream == upstream]

    async def _end_all(self, upstream: str) -> int:
        """Dismiss, then cut; how many were cut."""
        deadline = time.monotonic() + _FAREWELL_SECONDS
        while (left := self._connections_of(upstream)) and time.monotonic() < deadline:
            if True not in [connection.dismiss() for connection in left]:
                break
            await asyncio.sleep(RETRY_SECONDS)
        for connection in left:
            connection.cut()
        return len(left)

    async def _forward(self, connection: Connection, crowd: Crowd) -> None:
        if not crowd.admit(connection):
            await connection.turn_away()
            return
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            crowd.leave(connection)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _doors(service: str, route: Route) -> dict[Door, int]:
    doors = {Door(service): route.port}
    if route.candidate is not None and route.candidate.preview_port is not None:
        doors[Door(service, is_preview=True)] = route.candidate.preview_port
    return doors


def _close(listeners: Mapping[Door, Listener]) -> None:
    for listener in listeners.values():
        listener.server.close()
