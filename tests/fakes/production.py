"""A production host in this process: the program that is shipped there, run in threads.

Nothing of it is faked but systemd and the way there: FakeManager runs units as threads, FakeShell
runs commands here, and CutShell loses the connection at a chosen command.
"""

import contextlib
import io
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO, Self

from build_executor import command
from build_executor.errors import CommandFailed, DeploymentFailed
from build_executor.on_host.__main__ import main
from build_executor.on_host.places import Refused
from build_executor.on_host.switch import SPARE
from build_executor.on_host.units import SWITCH
from build_executor.targets.shell import Said
from tests.fakes.forwarder import running_forwarder

_PROGRAM = "build_executor.on_host"


@dataclass
class FakeManager:
    """Keeps units in memory: a service answers `/health` with its marker, the switch forwards.

    Releases in `broken` never come up.
    """

    units: dict[str, str] = field(default_factory=dict)
    running: dict[str, contextlib.ExitStack] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    lingers: bool = True

    def check(self) -> None:
        if not self.lingers:
            raise Refused("services of deploy would end when it logs out")

    def text(self, unit: str) -> str | None:
        return self.units.get(unit)

    def texts(self, pattern: str) -> list[str]:
        return [text for unit, text in self.units.items() if fnmatch(unit, pattern)]

    def state(self, unit: str) -> dict[str, str]:
        active = "active" if unit in self.running else "failed"
        restarts = str(self.restarts.get(unit, 0))
        return {"ActiveState": active, "Result": "exit-code", "NRestarts": restarts}

    def is_active(self, unit: str) -> bool:
        return unit in self.running

    def run(self, unit: str, text: str) -> None:
        self.units[unit] = text
        if unit not in self.running:
            self._launch(unit)

    def forgive(self, unit: str) -> None:
        self.restarts[unit] = 0

    def restart(self, unit: str) -> None:
        self.crash(unit)
        self._launch(unit)

    def end(self, unit: str) -> None:
        self.crash(unit)
        self.units.pop(unit, None)

    def said(self, unit: str, limit: int = 100) -> str:
        return f"the end of {unit}"[:limit]

    def crash(self, unit: str) -> None:
        """The unit is not running any more, but still written down."""
        with self.running.pop(unit, contextlib.ExitStack()):
            pass

    def reboot(self) -> None:
        for unit in list(self.running):
            self.crash(unit)
        for unit in self.units:
            self._launch(unit)

    def shut_down(self) -> None:
        for unit in list(self.running):
            self.crash(unit)

    def _launch(self, unit: str) -> None:
        lines = dict(line.split("=", 1) for line in self.units[unit].splitlines() if "=" in line)
        stack = contextlib.ExitStack()
        argv = lines["ExecStart"].split()
        if unit == SPARE:
            pass  # it waits for the other one to die, which crashes here are too short for
        elif unit == SWITCH:
            stack.enter_context(running_forwarder(Path(argv[4]), Path(argv[5])))
        else:
            variables = dict(
                line.removeprefix('Environment="').removesuffix('"').split("=", 1)
                for line in self.units[unit].splitlines()
                if line.startswith("Environment=")
            )
            if variables["RELEASE_ID"] in self.broken:
                return
            stack.enter_context(_answering(variables["RELEASE_ID"], int(variables["PORT"])))
        self.running[unit] = stack


@contextlib.contextmanager
def _answering(release: str, port: int) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"status": "active", "release": release}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class FakeHeld:
    """A command in a thread, written to and read from by pipes."""

    def __init__(self, argv: tuple[str, ...], manager: FakeManager, stdin: bytes) -> None:
        read_in, self._stdin = os.pipe()
        self._lines, write_out = os.pipe()
        os.write(self._stdin, stdin)
        self._streams = (open(read_in, "rb"), open(write_out, "wb"))  # noqa: SIM115, PTH123 - pipes
        self._output = open(self._lines, "rb")  # noqa: SIM115, PTH123 - a pipe
        self._thread = threading.Thread(target=self._work, args=(argv, manager))
        self._thread.start()
        self.is_open = True

    def _work(self, argv: tuple[str, ...], manager: FakeManager) -> None:
        stdin, stdout = self._streams
        with stdin, stdout:
            main(Path(argv[-2]), argv[-1], stdin, stdout, manager)

    def write(self, text: bytes) -> None:
        os.write(self._stdin, text)

    def line(self, seconds: float) -> str:  # noqa: ARG002 - a thread answers, or ends
        while (line := self._output.readline()) == b"\n":
            """A sign of life."""
        return line.decode()

    def is_alive(self) -> bool:
        return self.is_open and self._thread.is_alive()

    def end(self) -> None:
        """The connection ends, in order or not."""
        if self.is_open:
            self.is_open = False
            os.close(self._stdin)
            self._thread.join()
            self._output.close()


@dataclass
class FakeShell:
    """Runs commands on this machine, and the host's program in this process."""

    name: str = "deploy@fake"
    manager: FakeManager = field(default_factory=FakeManager)
    did: list[str] = field(default_factory=list)
    held: list[FakeHeld] = field(default_factory=list)
    sockets: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.manager.shut_down()

    def run(
        self, argv: tuple[str, ...], *, stdin: tuple[bytes | BinaryIO, ...] = (), timeout: float
    ) -> Said:
        content = b"".join(part if isinstance(part, bytes) else part.read() for part in stdin)
        if _PROGRAM not in argv:
            here = tuple(self.sockets.get(word, word) for word in argv)
            return _run_here(here, content, timeout)
        self.did.append(argv[-1])
        output = io.BytesIO()
        main(Path(argv[-2]), argv[-1], io.BytesIO(content), output, self.manager)
        return Said(output=output.getvalue().decode(), status=0)

    @contextlib.contextmanager
    def hold(self, argv: tuple[str, ...], *, stdin: bytes) -> Iterator[FakeHeld]:
        held = FakeHeld(argv, self.manager, stdin)
        self.held.append(held)
        try:
            yield held
        finally:
            held.end()

    def reach(self, address: str) -> str:
        return f"http://{address}"

    def reach_socket(self, path: str) -> str:
        return self.sockets.get(path, path)


@dataclass
class CutShell:
    """`shell`, whose connection is lost just before or after the `at`-th command or question.

    The locks that it held are free then. The next command has a new connection, unless the host
    `stays_away`.
    """

    shell: FakeShell
    at: int
    is_after: bool
    stays_away: bool = False
    count: int = 0

    @property
    def name(self) -> str:
        return self.shell.name

    def run(
        self, argv: tuple[str, ...], *, stdin: tuple[bytes | BinaryIO, ...] = (), timeout: float
    ) -> Said:
        if not self.is_cut():
            return self.shell.run(argv, stdin=stdin, timeout=timeout)
        if self.is_after and self.count == self.at:
            self.shell.run(argv, stdin=stdin, timeout=timeout)
        self.lose()
        raise DeploymentFailed(f"{self.name}: the connection was lost")

    @contextlib.contextmanager
    def hold(self, argv: tuple[str, ...], *, stdin: bytes) -> Iterator["CutHeld"]:
        if self.is_cut():
            self.lose()
            raise DeploymentFailed(f"{self.name}: the connection was lost")
        with self.shell.hold(argv, stdin=stdin) as held:
            yield CutHeld(self, held)

    def reach(self, address: str) -> str:
        return self.shell.reach(address)

    def reach_socket(self, path: str) -> str:
        return self.shell.reach_socket(path)

    def is_cut(self) -> bool:
        """Whether the next command meets no connection, or has none to answer by."""
        self.count += 1
        return self.count == self.at or (self.stays_away and self.count > self.at)

    def lose(self) -> None:
        """All that was held by the connection ends."""
        for held in self.shell.held:
            held.end()


@dataclass
class CutHeld:
    """What is held by a connection that may be cut."""

    shell: CutShell
    held: FakeHeld

    def write(self, text: bytes) -> None:
        if not self.shell.is_cut():
            self.held.write(text)
            return
        if self.shell.is_after and self.shell.count == self.shell.at:
            self.held.write(text)
            self.held.line(1)
        self.shell.lose()

    def line(self, seconds: float) -> str:
        return self.held.line(seconds) if self.held.is_open else ""

    def is_alive(self) -> bool:
        return self.held.is_alive()


def _run_here(argv: tuple[str, ...], stdin: bytes, timeout: float) -> Said:
    with tempfile.NamedTemporaryFile() as source:
        source.write(stdin)
        source.flush()
        script = 'source=$1; shift; exec "$@" <"$source"'
        try:
            finished = command.run(["sh", "-c", script, "sh", source.name, *argv], timeout=timeout)
        except CommandFailed as error:
            return Said(output=error.output, status=error.exit_code or 124)
    return Said(output=finished.output, status=0)
