"""Where a folder's unix socket is, and how XML-RPC goes over one: only its owner can open it."""

import hashlib
import http.client
import os
import socket
import xmlrpc.client
from pathlib import Path

from build_executor.errors import InvalidSettings

_CALL_SECONDS = 60.0
_LONGEST_SOCKET_PATH = 98  # of 107 bytes; supervisord adds its pid while it binds
_SHORT_FOLDERS = Path("/tmp")  # noqa: S108 - what is used in it is checked to be ours


def socket_path(folder: Path, name: str) -> Path:
    """Where a socket of this folder is: in it, or in a private short folder if it lies too deep.

    The path of a unix socket has at most 107 bytes.
    """
    if len(os.fsencode(folder / name)) <= _LONGEST_SOCKET_PATH:
        return folder / name
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    private = _SHORT_FOLDERS / f"build-executor-{os.getuid()}"
    private.mkdir(mode=0o700, exist_ok=True)
    status = private.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise InvalidSettings(f"somebody else can write to {private}: remove it")
    return private / f"{digest}-{name}"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_CALL_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over the unix socket at `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: tuple[str, dict[str, str]] | str) -> http.client.HTTPConnection:
        """A connection to the socket, whichever host is asked for."""
        connection = _UnixConnection(self._path)
        self._connection = host, connection  # where the base class looks for what to close
        return connection
