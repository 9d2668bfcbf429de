"""Ports for tests: nobody on this machine is given the same one at the same time.

They lie below the ports that the kernel gives to connections and to servers that ask for any, and
below those of the product's instances, so nobody takes one between its choice and its use.
"""

import fcntl
import os
import tempfile
from pathlib import Path

from build_executor.ports import is_free

_PORTS = range(10_000, 20_000)


def free_port() -> int:
    """A TCP port of the loopback address that nobody uses, and that no other test will get soon."""
    last = Path(tempfile.gettempdir()) / f"build-executor-test-ports-{os.getuid()}"
    with last.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        port = _after(int(file.read() or _PORTS.start))
        while not is_free(port):
            port = _after(port)
        file.truncate(0)
        file.write(str(port))
    return port


def _after(port: int) -> int:
    return port + 1 if port + 1 in _PORTS else _PORTS.start
