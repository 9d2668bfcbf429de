"""One forwarded connection: a client, its upstream, and who spoke last.

A connection stays with its upstream to the end. When a switch has left it behind, the next HTTP
response on it gets `connection: close`, so that keep-alive clients come over between two requests
instead of being cut off in one. While the upstream refuses connections the client is held, long
enough for a crashed service to come back; then it gets a 503.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import cast

RETRY_SECONDS = 0.05
_CONNECT_SECONDS = 1.0  # a listener whose queue is full says neither yes nor no
_IDLE_SECONDS = 1.0
_REFUSAL_SECONDS = 1.0
_BODY = b'{"status":"error","error":{"code":"service_unavailable"}}'
_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: " + str(len(_BODY)).encode() + b"\r\n\r\n" + _BODY
)


def announce_close(response: bytes) -> bytes:
    """The first bytes of an HTTP/1.1 response with the wish to end the connection after it.

    Anything else, and a response that only prepares for another one (1xx), is left as it is.
    """
    line, separator, rest = response.partition(b"\r\n")
    if not separator or not line.startswith(b"HTTP/1.1 ") or line[9:10] == b"1":
        return response
    return line + separator + b"connection: close\r\n" + rest


class Side(asyncio.Protocol):
    """One end of a connection: what it hears goes to its peer, at the peer's pace."""

    def __init__(self, heard: Callable[[bytes], bytes]) -> None:
        loop = asyncio.get_running_loop()
        self._heard = heard
        self._peer: Side | None = None
        self._transport: asyncio.Transport | None = None
        self._has_ended = False
        self.connected: asyncio.Future[None] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a peer; and never wait for delayed acknowledgements (44 ms an answer).

        Before 3.11.4 Python undoes a pause made in here, and what the client says before it has a
        peer would be lost (python/cpython#103607); the next step of the loop is early enough.
        """
        self._transport = cast("asyncio.Transport", transport)
        asyncio.get_running_loop().call_soon(self._transport.pause_reading)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connected.set_result(None)

    @property
    def transport(self) -> asyncio.Transport:
        """The transport, once `connected`."""
        return cast("asyncio.Transport", self._transport)

    @property
    def peer(self) -> "Side":
        """The other end, once joined."""
        return cast("Side", self._peer)

    def join(self, peer: "Side") -> None:
        """Pass on to `peer` what is heard from now on."""
        self._peer = peer
        self.transport.resume_reading()

    def reset(self) -> None:
        """End the connection so that the other end cannot take it for the end of an answer."""
        if self._transport is None or self._transport.is_closing():
            return
        linger = struct.pack("ii", 1, 0)
        raw = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Pass on; a client that was refused has no peer, and talks to nobody."""
        if self._peer is not None:
            self._peer.transport.write(self._heard(data))

    def eof_received(self) -> bool:
        """One direction has ended; the other stays open until it ends as well."""
        self._has_ended = True
        if self._peer is None or self._peer.transport.is_closing():
            return False
        if self._peer._has_ended:  # noqa: SLF001 - of the same class
            self._peer.transport.close()
            return False
        self._peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        """This end is slow: the other one must not be heard faster."""
        self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        """This end has caught up."""
        self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other end learns of it: an abort as an abort, a close as a close."""
        self.gone.set_result(None)
        if self._peer is None:
            return
        if exc is None:
            self._peer.transport.close()
        else:
            self._peer.reset()


class Connection:
    """Brings a client to where `route` points when it arrives, and keeps it there.

    `route` answers with the upstream (host:port), or None when the service is gone.
    """

    def __init__(self, route: Callable[[], str | None], *, hold_seconds: float) -> None:
        self._route, self._hold_seconds = route, hold_seconds
        self.client = Side(self._request)
        self._server = Side(self._response)
        self.upstream: str | None = None
        self._asked = self._is_tunnel = False
        self._quiet_since = time.monotonic()

    async def run(self) -> None:
        """Forward until both ends are gone."""
        await self.client.connected
        await self._connect()
        if self.upstream is None:
            await self._refuse()
            return
        self.client.join(self._server)
        self._server.join(self.client)
        await asyncio.wait([self.client.gone, self._server.gone])

    def is_idle(self) -> bool:
        """Whether nobody waits for an answer: a keep-alive connection between two requests."""
        quiet = time.monotonic() - self._quiet_since
        return not self._asked and not self._is_tunnel and quiet > _IDLE_SECONDS

    def end(self) -> None:
        """Close both ends once what they are owed is sent."""
        self.client.transport.close()
        self._server.transport.close()

    def cut(self) -> None:
        """Close both ends now."""
        self.client.reset()
        self._server.reset()

    async def _connect(self) -> None:
        """Follow the route while it is refused: it may be moved, or the service come back."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._hold_seconds
        while (upstream := self._route()) is not None:
            host, _, port = upstream.rpartition(":")
            with contextlib.suppress(OSError):
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await loop.create_connection(self._new_server, host, int(port))
                self.upstream = upstream
                return
            if loop.time() > deadline:
                return
            await asyncio.sleep(RETRY_SECONDS)

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

    def _request(self, data: bytes) -> bytes:
        self._asked, self._quiet_since = True, time.monotonic()
        return data

    def _response(self, data: bytes) -> bytes:
        is_first, self._asked, self._quiet_since = self._asked, False, time.monotonic()
        if not is_first or self._is_tunnel:
            return data
        if data.startswith(b"HTTP/1.1 101"):
            self._is_tunnel = True
        elif data.startswith(b"HTTP/1.1 1"):
            self._asked = True  # the answer proper is still to come
        return announce_close(data) if self._route() != self.upstream else data
