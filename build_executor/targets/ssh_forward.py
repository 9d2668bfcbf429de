"""Ports and sockets of this machine that lead to those of a host, through its SSH connection."""

import contextlib
import selectors
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import paramiko

from build_executor.errors import BuildExecutorError
from build_executor.targets.ssh_connection import LOST

_CHUNK = 64 * 1024
_BACKLOG = 64


Open = Callable[[str], paramiko.Channel]
"""Opens a connection to an address of the host (host:port, /a/socket); OSError if it cannot."""


class Tunnels:
    """One listening port or socket of this machine for each address that was asked for."""

    def __init__(self, open_channel: Open) -> None:
        self._open, self._lock = open_channel, threading.Lock()
        self._listeners: dict[str, socket.socket] = {}
        self._folders: list[str] = []

    def to(self, address: str) -> str:
        """The URL that leads to this address of the host."""
        listener = self._listener(address, _any_port)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    def to_socket(self, path: str) -> str:
        """A socket that leads to this one of the host, of ours alone: a port is everybody's."""
        return str(self._listener(path, self._private_socket).getsockname())

    def close(self) -> None:
        """Give the ports back."""
        with self._lock:
            for listener in self._listeners.values():
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
                listener.close()
            self._listeners.clear()
            for folder in self._folders:
                shutil.rmtree(folder, ignore_errors=True)
            self._folders.clear()

    def _listener(self, address: str, listen: Callable[[], socket.socket]) -> socket.socket:
        with self._lock:
            listener = self._listeners.get(address)
            if listener is None:
                listener = self._listeners[address] = listen()
                _in_background(self._serve, listener, address)
        return listener

    def _private_socket(self) -> socket.socket:
        folder = tempfile.mkdtemp(prefix="ssh-")
        self._folders.append(folder)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(Path(folder) / "socket"))
        listener.listen(_BACKLOG)
        return listener

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
            with contextlib.suppress(*LOST, ValueError), contextlib.closing(channel):
                _exchange(local, channel)


def _any_port() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)


def _exchange(local: socket.socket, channel: paramiko.Channel) -> None:
    """Carry bytes both ways until the host has no more."""
    with selectors.DefaultSelector() as sides:  # select() knows no file above 1023
        sides.register(local, selectors.EVENT_READ)
        sides.register(channel, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in sides.select()}
            if channel in ready:
                if not (data := channel.recv(_CHUNK)):
                    return
                local.sendall(data)
            if local in ready:
                if data := local.recv(_CHUNK):
                    channel.sendall(data)
                else:
                    channel.shutdown_write()
                    sides.unregister(local)


def _in_background(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()
