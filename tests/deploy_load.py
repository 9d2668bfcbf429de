"""Users of a service while it is deployed, in a process of their own: 310 requests a second.

`python -m tests.deploy_load URL HABITS` says when it was answered first, asks until it is
told to terminate, and then prints what was met as JSON. Requests are sent at fixed times whether or
not others were answered, so an outage costs as many as it lasts; nobody retries. Kept connections
are left when a response says so or the server has closed them before the next request, as every
HTTP client does.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import signal
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from tests.deploy_connection import Broken, Connection, Streams, head

ANSWERED = "answered"
_TIMEOUT_SECONDS = 15
_KEPT_CONNECTIONS = 6
_CLOSE, _TEXT = 0x88, 0x81
_ERRORS = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError)


class Habits(BaseModel):
    """What users ask for; no slow requests, or no WebSocket, where a service has none."""

    path: str = "/items"
    post_path: str = "/items"
    body: str = "{}"
    echo: str | None = "/echo"
    slow_seconds: float = 0


class Met(BaseModel):
    """What one kind of requests met; times are of the monotonic clock, which processes share."""

    sent: int = 0
    failed: int = 0
    reasons: dict[str, int] = {}
    longest_gap_ms: float = 0
    p50_ms: float = 0
    p99_ms: float = 0
    closed: int = 0
    """WebSockets that the server ended in order."""


class Report(BaseModel):
    """All kinds; `first_seen` is when each release first answered."""

    kinds: dict[str, Met]
    first_seen: dict[str, float]

    def requests(self) -> dict[str, Met]:
        """All but the slow ones, which have a row of their own."""
        return {kind: met for kind, met in self.kinds.items() if kind != "slow"}


@dataclass
class _Tally:
    """Collects what one kind met."""

    seconds: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    closed: int = 0
    began: float = field(default_factory=time.monotonic)

    async def take(self, request: Awaitable[None]) -> None:
        started = time.monotonic()
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await request
        except (*_ERRORS, Broken, TimeoutError) as error:
            self.reasons[_reason(error)] += 1
            return
        self.answered.append(time.monotonic())
        self.seconds.append(self.answered[-1] - started)

    def met(self, ended: float) -> Met:
        failed, seconds = self.reasons.total(), sorted(self.seconds) or [0.0]
        times = sorted([self.began, *self.answered, ended])
        gap = max(later - earlier for earlier, later in itertools.pairwise(times))
        return Met(
            sent=len(self.seconds) + failed,
            failed=failed,
            reasons=dict(self.reasons),
            longest_gap_ms=1000 * gap,
            p50_ms=1000 * seconds[len(seconds) // 2],
            p99_ms=1000 * seconds[-1 - len(seconds) // 100],
            closed=self.closed,
        )


class _Echo:
    """A WebSocket that says something and waits to hear it again."""

    def __init__(self, connection: Connection, path: str, tally: _Tally) -> None:
        self._connection, self._path, self._tally = connection, path, tally
        self._streams: Streams | None = None
        self._is_open = False

    async def say(self) -> None:
        try:
            reader, writer = await self._opened()
            text = os.urandom(8).hex().encode()
            writer.write(_frame(_TEXT, text))
            kind, said = await _read_frame(reader)
        except BaseException:
            self._leave()
            raise
        if kind == _CLOSE:
            self._leave()
            raise Broken("closed before the echo")
        if said != text:
            raise Broken("another echo")

    async def _opened(self) -> Streams:
        before = self._streams
        reader, writer = self._streams = await self._connection.opened()
        self._is_open = self._is_open and before == self._streams
        if self._is_open and await self._was_closed(reader, writer):
            reader, writer = self._streams = await self._connection.opened()
        if not self._is_open:
            key = base64.b64encode(os.urandom(16)).decode()
            upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            writer.write(head("GET", self._path, f"{upgrade}sec-websocket-key: {key}\r\n"))
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 101"):
                raise Broken(answer.split(b"\r\n")[0].decode())
            self._is_open = True
        return reader, writer

    async def _was_closed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Between two messages the server may say goodbye: that is in order."""
        try:
            async with asyncio.timeout(0.001):
                kind, said = await _read_frame(reader)
        except TimeoutError:
            return False
        if kind != _CLOSE:
            raise Broken("an echo of nothing")
        writer.write(_frame(_CLOSE, said))
        self._tally.closed += 1
        self._leave()
        return True

    def _leave(self) -> None:
        self._is_open = False
        self._connection.close()


class Users:
    """All kinds of users of one service."""

    def __init__(self, url: str, habits: Habits) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._habits = habits
        self._tallies: dict[str, _Tally] = {}
        self._first_seen: dict[str, float] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def use(self, stopped: asyncio.Event) -> Report:
        """Ask until it is stopped; what is under way then is still waited for."""
        async with asyncio.TaskGroup() as group:
            for users in self._kinds():
                group.create_task(self._at_times(*users, stopped))
        ended = time.monotonic()
        await asyncio.gather(*self._running)
        kinds = {kind: tally.met(ended) for kind, tally in self._tallies.items()}
        return Report(kinds=kinds, first_seen=self._first_seen)

    def _kinds(self) -> list[tuple[str, float, Callable[[], Coroutine[Any, Any, None]]]]:
        """The name, the requests a second, and one request, of each group of users."""
        kinds = [
            ("GET new", 60.0, self._once("GET")),
            ("POST new", 60.0, self._once("POST")),
            ("marker", 50.0, self._marker),
        ]
        for _ in range(_KEPT_CONNECTIONS):
            for method in ("GET", "POST"):
                request = self._kept(self._connection(), method)
                kinds.append((f"{method} kept", 60 / _KEPT_CONNECTIONS, request))
        if self._habits.echo:
            tally = self._tallies["WebSocket"] = _Tally()
            echo = _Echo(self._connection(), self._habits.echo, tally)
            kinds.append(("WebSocket", 20.0, echo.say))
        if self._habits.slow_seconds:
            kinds.append(("slow", 4.0, self._slow))
        return kinds

    async def _slow(self) -> None:
        await self._ask_once("GET", f"/slow/{self._habits.slow_seconds}", b"")

    def _once(self, method: str) -> Callable[[], Coroutine[Any, Any, None]]:
        async def ask() -> None:
            await self._ask_once(method, *self._wish(method))

        return ask

    def _kept(self, connection: Connection, method: str) -> Callable[[], Coroutine[Any, Any, None]]:
        async def ask() -> None:
            await connection.ask(method, *self._wish(method))

        return ask

    def _wish(self, method: str) -> tuple[str, bytes]:
        """A path and a body."""
        habits = self._habits
        return (habits.path, b"") if method == "GET" else (habits.post_path, habits.body.encode())

    async def _ask_once(self, method: str, path: str, body: bytes) -> bytes:
        connection = self._connection()
        try:
            return await connection.ask(method, path, body)
        finally:
            connection.close()

    async def _marker(self) -> None:
        release = json.loads(await self._ask_once("GET", "/health", b""))["release"]
        if not self._first_seen:
            print(ANSWERED, flush=True)  # noqa: T201 - its reader waits for it
        self._first_seen.setdefault(release, time.monotonic())

    async def _at_times(
        self,
        kind: str,
        rate: float,
        request: Callable[[], Coroutine[Any, Any, None]],
        stopped: asyncio.Event,
    ) -> None:
        tally = self._tallies.setdefault(kind, _Tally())
        is_serial = "kept" in kind or kind == "WebSocket"
        for due in itertools.count(time.monotonic(), 1 / rate):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), max(0, due - time.monotonic()))
            if stopped.is_set():
                return
            task = asyncio.create_task(tally.take(request()))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            if is_serial:
                await task

    def _connection(self) -> Connection:
        return Connection(self._host, self._port)


def _frame(kind: int, payload: bytes) -> bytes:
    """A masked frame of fewer than 126 bytes; its mask is zero."""
    return struct.pack("!BB4x", kind, 0x80 | len(payload)) + payload


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind, length = await reader.readexactly(2)
    return kind, await reader.readexactly(length)


def _reason(error: BaseException) -> str:
    match error:
        case Broken():
            return str(error)
        case asyncio.IncompleteReadError():
            return "ended without an answer"
        case _:
            return type(error).__name__


async def _main(url: str, habits: Habits) -> None:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    print((await Users(url, habits).use(stopped)).model_dump_json())  # noqa: T201 - its answer


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], Habits.model_validate_json(sys.argv[2])))
