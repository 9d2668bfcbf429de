"""One end of a forwarded connection."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import cast

_HEAD_END = b"\r\n\r\n"
_MOST_HEAD = 16_384


class Side(asyncio.Protocol):
    """One end of a connection: what it hears goes to its peer, at the peer's pace."""

    def __init__(self, heard: Callable[[bytes], bytes]) -> None:
        loop = asyncio.get_running_loop()
        self._heard = heard
        self._peer: Side | None = None
        self._transport: asyncio.Transport | None = None
        self._early: bytearray | None = None
        self._first = b""
        self._has_heard_enough: asyncio.Future[None] = loop.create_future()
        self.has_ended = False
        self.has_left_first = False
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

    async def first_head(self, seconds: float) -> bytes:
        """What is said first: to the end of an HTTP head, to 16 KiB, or within the time."""
        self._early = bytearray()
        self.transport.resume_reading()
        await asyncio.wait(
            [self._has_heard_enough, self.gone],
            timeout=seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
        self.transport.pause_reading()
        self._first, self._early = bytes(self._early), None
        return self._first

    def join(self, peer: "Side") -> None:
        """Pass on to `peer` what was heard already, and what is heard from now on."""
        self._peer = peer
        if self._first:
            peer.transport.write(self._heard(self._first))
        if self.has_ended:
            peer.transport.write_eof()
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
        elif self._early is not None:
            self._early += data
            if _HEAD_END in self._early or len(self._early) >= _MOST_HEAD:
                self._hear_no_more()

    def eof_received(self) -> bool:
        """One direction has ended; the other stays open until it ends as well."""
        self.has_ended = True
        if self._early is not None:
            self._hear_no_more()
            return True
        if self._peer is None or self._peer.transport.is_closing():
            return False
        if self._peer.has_ended:
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
        self.has_left_first = not self._peer.gone.done()
        if exc is None:
            self._peer.transport.close()
        else:
            self._peer.reset()

    def _hear_no_more(self) -> None:
        self.transport.pause_reading()
        with contextlib.suppress(asyncio.InvalidStateError):  # it was said already
            self._has_heard_enough.set_result(None)
