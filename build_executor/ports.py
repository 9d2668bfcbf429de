"""Which port belongs to whom on a machine; the standard library alone.

Public ports of services that ask for none come from 8300-8999 and are kept; private ports lie below
the range that the kernel hands out to outgoing connections, so a crashed instance finds its own
port free when it comes back.
"""

import fcntl
import json
import random
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from build_executor.files import write_atomically

_PUBLIC = range(8300, 9000)
_PRIVATE = range(20_000, 30_000)
_TRIAL = range(30_000, 32_768)
_TRIES = 200


class NoPort(Exception):
    """There is no free port, or the wanted one belongs to somebody else; the text says to whom."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether nobody listens on this port now, and we may."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def private_port(taken: Collection[int]) -> int:
    """A free port for an instance; none of `taken`, where instances may be about to start."""
    return _any_of(_PRIVATE, taken)


def trial_port() -> int:
    """A free port for a copy on trial; instances that are about to start get none of these."""
    return _any_of(_TRIAL, ())


def _any_of(ports: range, taken: Collection[int]) -> int:
    for port in random.sample(ports, _TRIES):
        if port not in taken and is_free(port):
            return port
    raise NoPort(f"no free port in {ports.start}-{ports.stop - 1}")


class PortBook:
    """The public ports of a machine's services, in one file; they are opened at `host`."""

    def __init__(self, file: Path, host: str = "127.0.0.1") -> None:
        self._file, self._host = file, host

    def reserve(self, service: str, wanted: int | None, routed: Mapping[str, int]) -> int:
        """The service's public port: the wanted one, or one allocated once and kept.

        `routed` are the ports that the switch serves now, by service. NoPort naming the
        port if it belongs to another service or to a foreign process.
        """
        with self._locked():
            book = self._read()
            port = wanted or book.get(service)
            if port is None or not self._is_available(port, service, routed):
                if wanted is not None:
                    raise NoPort(_whose(wanted, routed))
                port = self._allocate(book, routed)
            if book.get(service) != port:
                write_atomically(self._file, json.dumps({**book, service: port}).encode())
            return port

    def _read(self) -> dict[str, int]:
        try:
            book: dict[str, int] = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        return book

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_available(self, port: int, service: str, routed: Mapping[str, int]) -> bool:
        is_mine = routed.get(service) == port
        return is_mine or (port not in routed.values() and is_free(port, self._host))

    def _allocate(self, book: Mapping[str, int], routed: Mapping[str, int]) -> int:
        taken = {*book.values(), *routed.values()}
        free = (port for port in _PUBLIC if port not in taken and is_free(port, self._host))
        port = next(free, None)
        if port is None:
            raise NoPort(f"no free public port in {_PUBLIC.start}-{_PUBLIC.stop - 1}")
        return port


def _whose(port: int, routed: Mapping[str, int]) -> str:
    owner = next((service for service, used in routed.items() if used == port), None)
    who = f"the service {owner}" if owner else "another process"
    return f"port {port} is taken by {who}: free it, or give the SPEC another port"
