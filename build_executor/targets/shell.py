"""How another host is told what to do: a small protocol."""

import re
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol, Self

from build_executor.errors import InvalidSettings
from build_executor.models import Value

_LOGIN = re.compile(
    r"(?P<user>[a-z_][a-z0-9_-]*)@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:]+\])"
    r"(?::(?P<port>\d{1,5}))?"
)
_SSH_PORT = 22


class Login(Value):
    """A user on a host; `str` writes it as the settings do."""

    user: str
    host: str
    port: int = _SSH_PORT

    @classmethod
    def parse(cls, text: str) -> Self:
        """The login that `user@host[:port]` names; InvalidSettings if it is none."""
        found = _LOGIN.fullmatch(text)
        if found is None:
            raise InvalidSettings(f"PRODUCTION_HOSTS: not a user@host[:port]: {text!r}")
        port = int(found["port"] or _SSH_PORT)
        return cls(user=found["user"], host=found["host"].strip("[]"), port=port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}" + ("" if self.port == _SSH_PORT else f":{self.port}")


class Said(Value):
    """What a command on the host printed, stderr mixed in, and its exit status."""

    output: str
    status: int


class Held(Protocol):
    """A command on the host that runs for as long as it is held."""

    def write(self, text: bytes) -> None:
        """Send this to it; nothing happens if it has ended."""
        ...

    def line(self, seconds: float) -> str:
        """The next line of what it prints that is not empty; "" if it has ended, or time has."""
        ...

    def is_alive(self) -> bool:
        """Whether it still runs, as far as can be known."""
        ...


class Shell(Protocol):
    """Runs commands on one host.

    DeploymentFailed, naming the host and what to do, when it cannot be reached or entered, or the
    connection is lost before the command has ended: whether it did what it should is open then.
    """

    @property
    def name(self) -> str:
        """How people call the host."""
        ...

    def run(
        self, argv: tuple[str, ...], *, stdin: tuple[bytes | BinaryIO, ...] = (), timeout: float
    ) -> Said:
        """Run a command to its end, at most for `timeout` seconds: the host sees to that."""
        ...

    def hold(self, argv: tuple[str, ...], *, stdin: bytes) -> AbstractContextManager[Held]:
        """Run a command that writes and reads for as long as the context lasts.

        It is written a newline every few seconds; its stdin ends when this process does.
        """
        ...

    def reach(self, address: str) -> str:
        """The URL under which an address of the host (127.0.0.1:port) is reached from here."""
        ...

    def reach_socket(self, path: str) -> str:
        """The path of a socket of this machine, of ours alone, that leads to one of the host."""
        ...
