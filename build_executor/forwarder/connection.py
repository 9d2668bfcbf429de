"""One forwarded connection: a client, its upstream, and who spoke last.

A connection stays with its upstream to the end. When a switch has left it behind, the next HTTP
response on it gets `connection: close`, so that keep-alive clients come over between two requests
instead of being cut off in one. While the upstream refuses connections the client is held, long
enough for a crashed service to come back; then it gets a 503.
"""

import asyncio
import contextlib
import time
from typing import NamedTuple

from build_executor.forwarder.crowd import Crowd
from build_executor.forwarder.frames import GOING_AWAY, Frames
from build_executor.forwarder.side import Side
from build_executor.forwarder.tallies import Tallies
from build_executor.forwarder.ways import Way

RETRY_SECONDS = 0.05
# A listener whose queue is full says neither yes nor no, nor does the address of a dead container.
# The latter is asked often, so that its clients meet the next one at once; the former, which still
# answers others, is asked once for as long as the kernel takes to ask again.
_CONNECT_SECONDS, _BUSY_SECONDS = 0.2, 1.2
_IDLE_SECONDS, _STUCK_SECONDS = 1.0, 10.0
_REFUSAL_SECONDS = 1.0
_FAILURES = (b"HTTP/1.1 5", b"HTTP/1.0 5")
_BODY = b'{"status":"error","error":{"code":"service_unavailable"}}'
_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: " + str(len(_BODY)).encode() + b"\r\n\r\n" + _BODY
)


class Patience(NamedTuple):
    """How long a client is waited for, or waits, in seconds.

    `hold` while its upstream refuses connections; `head` for its first request where that matters;
    `leave` for the end of its connection when the forwarder is told to end.
    """

    hold: float = 3.0  # a crashed service is back after 1 to 2
    head: float = 2.0
    leave: float = 2.0


def announce_close(response: bytes) -> bytes:
    """The first bytes of an HTTP/1.1 response with the wish to end the connection after it.

    Anything else, and a response that only prepares for another one (1xx), is left as it is.
    """
    line, separator, rest = response.partition(b"\r\n")
    if not separator or not line.startswith(b"HTTP/1.1 ") or line[9:10] == b"1":
        return response
    return line + separator + b"connection: close\r\n" + rest


class Connection:
    """Brings a client to where its way leads when it arrives, and keeps it there."""

    def __init__(self, way: Way, crowd: Crowd, tallies: Tallies, patience: Patience) -> None:
        self._way, self._crowd, self._tallies, self._patience = way, crowd, tallies, patience
        self.client = Side(self._request)
        self._server = Side(self._response)
        self.upstream: str | None = None
        self._asked = self._is_tunnel = self._is_dismissed = False
        self._frames: Frames | None = None
        self._quiet_since = time.monotonic()

    async def turn_away(self) -> None:
        """Say that there is no room for this client."""
        await self.client.connected
        await self._refuse()

    async def run(self) -> None:
        """Forward until both ends are gone."""
        await self.client.connected
        head = b""
        if self._way.reads_head():
            head = await self.client.first_head(self._patience.head)
        if self.client.gone.done():
            return
        await self._connect(self._way.choose(head))
        if self.upstream is None:
            await self._refuse()
            return
        self.client.join(self._server)
        self._server.join(self.client)
        await asyncio.wait([self.client.gone, self._server.gone])
        if self._asked and not self._is_tunnel and self._is_left_alone():
            self._tallies.failed(self.upstream)

    def is_idle(self) -> bool:
        """Whether nobody waits for an answer: a keep-alive connection between two requests."""
        return not self._asked and self._is_quiet(_IDLE_SECONDS)

    def is_stuck(self) -> bool:
        """Whether a request or its answer has not gone on for long."""
        return self._asked and self._is_quiet(_STUCK_SECONDS)

    def end(self) -> None:
        """Close both ends once what they are owed is sent."""
        self.client.transport.close()
        self._server.transport.close()

    def dismiss(self) -> bool:
        """Ask both ends of a WebSocket to end it; False if that cannot be said here and now.

        The client gets the close frame; its answer, passed on, is what its server gets.
        """
        if self._is_dismissed or self._frames is None or not self._frames.is_between():
            return self._is_dismissed
        self.client.transport.write(GOING_AWAY)
        self._is_dismissed = True
        return True

    def cut(self) -> None:
        """Close both ends now."""
        self.client.reset()
        self._server.reset()

    async def _connect(self, upstream: str | None) -> None:
        """Follow the way while it is refused: it may be moved, or the service come back."""
        deadline = asyncio.get_running_loop().time() + self._patience.hold
        refused: set[str] = set()
        while upstream is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline), self._crowd.knocking:
                    if await self._knock(upstream):
                        self.upstream = upstream
                        return
            if upstream not in refused:
                refused.add(upstream)
                self._tallies.failed(upstream)
            if asyncio.get_running_loop().time() >= deadline:
                return
            upstream = self._way.upstream()

    async def _knock(self, upstream: str) -> bool:
        """Connect; or, not to be asked at once again, return a moment after that has failed."""
        loop = asyncio.get_running_loop()
        host, _, port = upstream.rpartition(":")
        with contextlib.suppress(OSError):
            async with asyncio.timeout(self._connect_seconds(upstream)):
                await loop.create_connection(self._new_server, host, int(port))
            return True
        await asyncio.sleep(RETRY_SECONDS)
        return False

    def _connect_seconds(self, upstream: str) -> float:
        return _BUSY_SECONDS if self._tallies.answers_now(upstream) else _CONNECT_SECONDS

    def _is_quiet(self, seconds: float) -> bool:
        """Whether a request's connection has both ends, and nothing was said for so long."""
        quiet = time.monotonic() - self._quiet_since
        return self.upstream is not None and not self._is_tunnel and quiet > seconds

    def _new_server(self) -> Side:
        """One for each attempt: that of an attempt which came too late is of no use any more."""
        self._server = Side(self._response)
        return self._server

    async def _refuse(self) -> None:
        transport = self.client.transport
        transport.write(_UNAVAILABLE)
        transport.write_eof()
        transport.resume_reading()  # bytes left unread would turn the close into a reset
        await asyncio.wait([self.client.gone], timeout=_REFUSAL_SECONDS)
        transport.close()

    def _is_left_alone(self) -> bool:
        """Whether it was the server that ended the conversation."""
        return self._server.has_ended or self._server.has_left_first

    def _request(self, data: bytes) -> bytes:
        self._asked, self._quiet_since = True, time.monotonic()
        return data

    def _response(self, data: bytes) -> bytes:
        is_first, self._asked, self._quiet_since = self._asked, False, time.monotonic()
        if self._is_tunnel:
            return self._tunnelled(data)
        if is_first and data.startswith(b"HTTP/1.1 1"):
            self._prepare(data)
            return data
        return self._answered(data) if is_first else data

    def _prepare(self, data: bytes) -> None:
        """A 1xx: the answer proper is still to come, or the connection is HTTP no more."""
        if not data.startswith(b"HTTP/1.1 101"):
            self._asked = True
            return
        self._is_tunnel = True
        head, separator, frames = data.partition(b"\r\n\r\n")
        if separator and b"websocket" in head.lower():
            self._frames = Frames()
            self._frames.follow(frames)

    def _answered(self, data: bytes) -> bytes:
        upstream = self.upstream or ""
        self._tallies.answered(upstream, is_failure=data.startswith(_FAILURES))
        return data if self._way.leads_to(upstream) else announce_close(data)

    def _tunnelled(self, data: bytes) -> bytes:
        if self._is_dismissed:
            return b""
        if self._frames is not None:
            self._frames.follow(data)
        return data
