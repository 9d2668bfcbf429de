"""Which service is reached by which public port, and where its connections go.

A route is one pointer; new connections follow it at once. The table is written before it takes
effect.
"""

import asyncio
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from build_executor.forwarder.connection import RETRY_SECONDS, Connection, Side
from build_executor.forwarder.routes import Refused, Route, read_table, write_table

_BACKLOG = 1024
_REBIND_SECONDS = 0.2


class Forwarder:
    """The routing table with its listeners and connections; public ports are those of `host`."""

    def __init__(self, state: Path, *, hold_seconds: float, host: str) -> None:
        self._state, self._hold_seconds, self._host = state, hold_seconds, host
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
                service: {**route.entry(), "listening": service in self._listeners}
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
            listener.bind((self._host, port))
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
