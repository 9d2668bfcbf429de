"""Ports of this machine that lead to addresses of a host, through its SSH connection."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable

import paramiko

from build_executor.errors import BuildExecutorError

_CHUNK = 64 * 1024
_BACKLOG = 64


Open = Callable[[str], paramiko.Channel]
"""Opens a connection to an address (host:port) of the host; OSError if it cannot."""


class Tunnels:
    """One listening port of this machine for each address that was asked for."""

    def __init__(self, open_channel: Open) -> None:
        self._open, self._lock = open_channel, threading.Lock()
        self._listeners: dict[str, socket.socket] = {}

    def to(self, address: str) -> str:
        """The URL that leads to this address of the host."""
        with self._lock:
            listener = self._listeners.get(address)
            if listener is None:
                listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
                self._listeners[address] = listener
                _in_background(self._serve, listener, address)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    def close(self) -> None:
        """Give the ports back."""
        with self._lock:
            for listener in self._listeners.values():
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
                listener.close()
            self._listeners.clear()

    def _serve(self, listener: socket.socket, address: str) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                local, _ = listener.accept()
                _in_background(self._carry, local, address)

    def _carry(self, local: socket.socket, address: str) -> None:
        with contextlib.closing(local):
            try:
                channel = self._open(address)
            except (BuildExecutorError, OSError):
                return  # nobody listens there, or the host is lost: the client sees it end
            with contextlib.closing(channel), contextlib.suppress(OSError, ValueError):
                _exchange(local, channel)


def _exchange(local: socket.socket, channel: paramiko.Channel) -> None:
    """Carry bytes both ways until the host has no more."""
    sides: list[socket.socket | paramiko.Channel] = [local, channel]
    while True:
        ready = select.select(sides, [], [])[0]
        if channel in ready:
            if not (data := channel.recv(_CHUNK)):
                return
            local.sendall(data)
        if local in ready:
            if data := local.recv(_CHUNK):
                channel.sendall(data)
            else:
                channel.shutdown_write()
                sides.remove(local)


def _in_background(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()
