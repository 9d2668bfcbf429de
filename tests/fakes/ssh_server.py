"""An sshd in threads of this process: it knows one key, and runs commands on this machine."""

import contextlib
import os
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_FAILED_CONNECT_FAILED,
    OPEN_SUCCEEDED,
)

from build_executor import command
from build_executor.targets.ssh_connection import LOST

_CHUNK = 64 * 1024
_POLL_SECONDS = 0.005


class FakeSshServer:
    """Keeps its keys, and the one that it accepts, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.key_file, self.known_hosts = folder / "key", folder / "known_hosts"
        self._host_key = paramiko.ECDSAKey.generate(bits=256)
        self.accepted = paramiko.ECDSAKey.generate(bits=256)
        self.accepted.write_private_key_file(str(self.key_file))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.login, self.known_as = f"deploy@127.0.0.1:{self.port}", f"[127.0.0.1]:{self.port}"
        host_key = f"{self._host_key.get_name()} {self._host_key.get_base64()}"
        self.known_hosts.write_text(f"{self.known_as} {host_key}\n")
        self.transports: list[paramiko.Transport] = []
        self.opens_sessions = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.lose()

    def lose(self) -> None:
        """End all connections without a word."""
        for transport in self.transports:
            transport.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                connection, _ = self._listener.accept()
                transport = paramiko.Transport(connection)
                transport.set_log_channel("paramiko.fake")
                transport.add_server_key(self._host_key)
                self.transports.append(transport)
                session = _Session(self, transport)
                with contextlib.suppress(*LOST):
                    transport.start_server(event=threading.Event(), server=session)


class _Session(paramiko.ServerInterface):
    def __init__(self, server: FakeSshServer, transport: paramiko.Transport) -> None:
        self._server, self._transport = server, transport

    def get_allowed_auths(self, _: str) -> str:
        return "publickey"

    def check_auth_publickey(self, _: str, key: paramiko.PKey) -> int:
        known = key.get_base64() == self._server.accepted.get_base64()
        return AUTH_SUCCESSFUL if known else AUTH_FAILED

    def check_channel_request(self, kind: str, _: int) -> int:
        if kind == "session" and self._server.opens_sessions:
            return OPEN_SUCCEEDED
        return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_direct_tcpip_request(
        self, chanid: int, _: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        try:
            connection = socket.create_connection(destination, 30)
        except OSError:
            return OPEN_FAILED_CONNECT_FAILED
        threading.Thread(target=self._forward, args=(chanid, connection), daemon=True).start()
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _forward(self, chanid: int, connection: socket.socket) -> None:
        channel = self._transport.accept(30)
        while channel is not None and channel.get_id() != chanid:
            channel = self._transport.accept(30)
        if channel is None:
            return
        back = threading.Thread(target=_copy, args=(connection, channel), daemon=True)
        back.start()
        with contextlib.suppress(OSError):
            while data := channel.recv(_CHUNK):
                connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        back.join()
        connection.close()


def _copy(connection: socket.socket, channel: paramiko.Channel) -> None:
    with contextlib.suppress(*LOST):
        while data := connection.recv(_CHUNK):
            channel.sendall(data)
        channel.close()


def _run(channel: paramiko.Channel, text: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        fifo, log = Path(scratch) / "stdin", Path(scratch) / "output"
        os.mkfifo(fifo)
        log.touch()
        script = 'exec <"$1"; eval "$2"'
        process = command.start(["sh", "-c", script, "sh", str(fifo), text], log=log)
        feeder = threading.Thread(target=_feed, args=(channel, fifo), daemon=True)
        feeder.start()
        with log.open("rb") as output, contextlib.suppress(*LOST):
            while process.poll() is None and not channel.closed:
                channel.sendall(output.read())
                time.sleep(_POLL_SECONDS)
            channel.sendall(output.read())
        command.stop(process, grace=1)
        with contextlib.suppress(*LOST):
            channel.send_exit_status(abs(process.returncode))
            channel.close()
        feeder.join()


def _feed(channel: paramiko.Channel, fifo: Path) -> None:
    with contextlib.suppress(OSError), fifo.open("wb", buffering=0) as stream:
        while data := channel.recv(_CHUNK):
            stream.write(data)
