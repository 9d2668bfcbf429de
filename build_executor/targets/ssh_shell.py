"""A host that is entered over SSH; it connects when first needed, and anew after a loss."""

import contextlib
import io
import shlex
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import BinaryIO

import paramiko

from build_executor.errors import DeploymentFailed
from build_executor.targets.shell import Login, Said
from build_executor.targets.ssh_connection import LOST, Credentials, connect, transport_of
from build_executor.targets.ssh_forward import Tunnels

_CHUNK = 64 * 1024  # paramiko copies what is left of a buffer at each packet
_OUTPUT_LIMIT = 4 * 1024 * 1024
_KILL_SECONDS = 5
_MARGIN_SECONDS = 5.0
_SILENCE_SECONDS = 15.0  # what works there gives a sign of life every two seconds
_RETRY_SECONDS = 5.0
_BEAT_SECONDS = 5.0
_RELEASE_SECONDS = 5.0
_MARKER = "__rc="
# sshd can forward sockets, but paramiko cannot ask for it.
_CARRY = """
import os, socket, sys, threading
there = socket.socket(socket.AF_UNIX)
there.connect(sys.argv[1])
def send():
    while data := os.read(0, 65536):
        there.sendall(data)
    there.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while data := there.recv(65536):
    while data:
        data = data[os.write(1, data):]
"""
_OUT_OF_TIME = frozenset({124, 137})  # what timeout(1) ends with


class SshShell:
    """Commands over one connection. It is closed with `close`, or when nobody uses it any more."""

    def __init__(self, login: Login, credentials: Credentials) -> None:
        self.name = str(login)
        self._link = _Link(login, credentials)
        self._tunnels = Tunnels(self._link.open_tunnel)
        self.close = weakref.finalize(self, _close, self._link, self._tunnels)

    def run(
        self, argv: tuple[str, ...], *, stdin: tuple[bytes | BinaryIO, ...] = (), timeout: float
    ) -> Said:
        """Run a command to its end; see `Shell`."""
        deadline = time.monotonic() + timeout + _KILL_SECONDS + _MARGIN_SECONDS
        with self._losses_named(argv), _closed_at_the_end(self._link.open_session()) as channel:
            channel.settimeout(_SILENCE_SECONDS)
            channel.exec_command(_wrapped(argv, timeout))
            _feed(channel, stdin)
            text = _read_all(channel, deadline)
        return self._judged(argv, text, timeout)

    @contextlib.contextmanager
    def hold(self, argv: tuple[str, ...], *, stdin: bytes) -> Iterator["HeldCommand"]:
        """Run a command for as long as the context lasts; see `Shell`."""
        with _closed_at_the_end(self._link.open_session()) as channel:
            with self._losses_named(argv):
                channel.settimeout(_SILENCE_SECONDS)
                channel.exec_command(f"exec {shlex.join(argv)}")
                channel.sendall(stdin)
            held = HeldCommand(channel, self._link.close)
            try:
                yield held
            finally:
                held.release()

    def reach(self, address: str) -> str:
        """A port of this machine that leads to this address of the host."""
        return self._tunnels.to(address)

    def reach_socket(self, path: str) -> str:
        """A socket of this machine that leads to this one of the host."""
        return self._tunnels.to_socket(path)

    @contextlib.contextmanager
    def _losses_named(self, argv: tuple[str, ...]) -> Iterator[None]:
        try:
            yield
        except LOST as error:
            self._link.close()  # a host that hangs is not waited for again and again
            raise self._lost(argv, str(error)) from error

    def _lost(self, argv: tuple[str, ...], reason: str) -> DeploymentFailed:
        return DeploymentFailed(
            f"{self.name}: the connection was lost during `{argv[-1]}` ({reason or 'it ended'});"
            " what was left there is removed by the roll-back"
        )

    def _judged(self, argv: tuple[str, ...], text: str, timeout: float) -> Said:
        output, marker, status = text.rpartition(_MARKER)
        if not marker or not status.strip().isdigit():
            raise self._lost(argv, "")
        if int(status) in _OUT_OF_TIME:
            message = f"{self.name}: `{argv[-1]}` did not end within {timeout:g} s"
            raise DeploymentFailed(message)
        return Said(output=output, status=int(status))


class _Link:
    """The connection of a shell, for as long as it lasts, and the next one after it."""

    def __init__(self, login: Login, credentials: Credentials) -> None:
        self._login, self._credentials = login, credentials
        self._lock = threading.Lock()
        self._client: paramiko.SSHClient | None = None
        self._failure: tuple[float, DeploymentFailed] | None = None

    def open_session(self) -> paramiko.Channel:
        """A channel for a command."""
        try:
            channel = self._transport().open_session(timeout=_MARGIN_SECONDS)
        except LOST:
            self.close()  # it died without a word; nothing was run yet
            channel = self._second_try()
        channel.set_combine_stderr(True)
        return channel

    def open_tunnel(self, address: str) -> paramiko.Channel:
        """A channel to this address of the host, or to a socket; OSError if there is none."""
        if address.startswith("/"):
            return self._open_socket(address)
        host, _, port = address.rpartition(":")
        try:
            return self._transport().open_channel(
                "direct-tcpip", (host, int(port)), ("127.0.0.1", 0), timeout=_MARGIN_SECONDS
            )
        except (EOFError, paramiko.SSHException) as error:
            raise ConnectionRefusedError(str(error)) from error

    def _open_socket(self, path: str) -> paramiko.Channel:
        channel = self.open_session()
        try:
            channel.exec_command(shlex.join(("exec", "python3", "-I", "-S", "-c", _CARRY, path)))
        except (EOFError, paramiko.SSHException) as error:
            raise ConnectionRefusedError(str(error)) from error
        return channel

    def close(self) -> None:
        """End the connection; the next use opens another one."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _second_try(self) -> paramiko.Channel:
        try:
            return self._transport().open_session(timeout=_MARGIN_SECONDS)
        except LOST as error:
            raise DeploymentFailed(f"{self._login}: sshd opens no session: {error}") from error

    def _transport(self) -> paramiko.Transport:
        with self._lock:
            if self._client is None or not _is_active(self._client):
                if self._client is not None:
                    self._client.close()
                self._client = self._connected()
            return transport_of(self._client)

    def _connected(self) -> paramiko.SSHClient:
        """Who goes back after a loss asks many things: they shall not all wait for a dead host."""
        if self._failure is not None and time.monotonic() < self._failure[0] + _RETRY_SECONDS:
            raise self._failure[1]
        try:
            return connect(self._login, self._credentials)
        except DeploymentFailed as error:
            self._failure = (time.monotonic(), error)
            raise


class HeldCommand:
    """A command that runs until it is released; a thread tells it that we live."""

    def __init__(self, channel: paramiko.Channel, give_up: Callable[[], None]) -> None:
        self._channel, self._give_up = channel, give_up
        self._released = threading.Event()
        self._text = b""
        self._channel.settimeout(_SILENCE_SECONDS)
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def write(self, text: bytes) -> None:
        """Send this to it; see `Held`."""
        with contextlib.suppress(*LOST):
            self._channel.sendall(text)

    def line(self, seconds: float) -> str:
        """The next line that is not empty; "" at the end, and when the host falls silent."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (line := self._next()):
            if line.strip():
                return line.decode(errors="replace")
        return ""

    def _next(self) -> bytes:
        try:
            while b"\n" not in self._text:
                if not (more := self._channel.recv(_CHUNK)):
                    return b""
                self._text += more
        except OSError:
            self._give_up()  # a host that hangs is not waited for again and again
            return b""
        line, _, self._text = self._text.partition(b"\n")
        return line + b"\n"

    def is_alive(self) -> bool:
        """Whether it still runs, as far as can be known."""
        return not (self._channel.closed or self._channel.eof_received)

    def release(self) -> None:
        """Let it end, and return when it has."""
        self._released.set()
        self._thread.join()
        self._channel.settimeout(_RELEASE_SECONDS)
        with contextlib.suppress(*LOST):
            self._channel.shutdown_write()
            while self._channel.recv(_CHUNK):
                pass

    def _beat(self) -> None:
        with contextlib.suppress(*LOST):  # it has ended: `is_alive` says so
            while not self._released.wait(_BEAT_SECONDS):
                self._channel.sendall(b"\n")


@contextlib.contextmanager
def _closed_at_the_end(channel: paramiko.Channel) -> Iterator[paramiko.Channel]:
    try:
        yield channel
    finally:
        with contextlib.suppress(*LOST):  # a connection that was lost closes nothing any more
            channel.close()


def _is_active(client: paramiko.SSHClient) -> bool:
    transport = client.get_transport()
    return transport is not None and transport.is_active()


def _wrapped(argv: tuple[str, ...], timeout: float) -> str:
    """The host ends it when its time is over, and says how it ended: a loss is never a success."""
    script = f"timeout -k {_KILL_SECONDS} {timeout:g} {shlex.join(argv)} 2>&1"
    return f"exec /bin/sh -c {shlex.quote(script + f'; printf %s%s {_MARKER} $?')}"


def _feed(channel: paramiko.Channel, stdin: tuple[bytes | BinaryIO, ...]) -> None:
    """Send all of it, or as much as is wanted: a command may refuse before it has read it all."""
    for part in stdin:
        stream = io.BytesIO(part) if isinstance(part, bytes) else part
        while chunk := stream.read(_CHUNK):
            try:
                channel.sendall(chunk)
            except TimeoutError:
                raise
            except OSError:
                return  # it is closed: what it said tells why
    with contextlib.suppress(OSError):
        channel.shutdown_write()


def _read_all(channel: paramiko.Channel, deadline: float) -> str:
    parts: list[bytes] = []
    size = 0
    while chunk := channel.recv(_CHUNK):
        parts.append(chunk)
        size += len(chunk)
        while size - len(parts[0]) > _OUTPUT_LIMIT:
            size -= len(parts.pop(0))
        if time.monotonic() > deadline:
            raise TimeoutError("it does not end")
    return b"".join(parts).decode(errors="replace")


def _close(link: _Link, tunnels: Tunnels) -> None:
    tunnels.close()
    link.close()
