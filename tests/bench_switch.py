"""What a switch costs a request: asked directly, through the embedded one, and through a Caddy.

The client, the service and the switch share this machine's cores, so the ratios say more than the
figures do. `python -m tests.bench_switch` prints the table.
"""

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from build_executor import command
from build_executor.targets.caddy import CaddySwitch
from build_executor.targets.caddy_admin import CaddyAdmin
from build_executor.targets.supervisor import Supervisor
from build_executor.targets.switch import Candidate, EmbeddedSwitch, Route, Switch
from build_executor.targets.switch_process import LocalSwitchProcess
from tests.caddy import Caddy
from tests.ports import free_port

ROOT = Path(__file__).parents[1]
ROUNDS = 3
SECONDS = 1.0
USERS = 16
REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Figures(NamedTuple):
    """Requests a second, and milliseconds that half and 99 of 100 of them took."""

    rate: float
    median: float
    slow: float


def switch_table() -> Table:
    """Every way to the same service, in turns; medians of the rounds."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(_folder()))
        service = stack.enter_context(_service(home))
        ways = {"directly": service, **_embedded(home, service, stack)}
        if shutil.which("caddy"):
            ways["caddy"] = _caddy(home, service, stack)
        seen: dict[tuple[str, bool], list[Figures]] = {}
        for _ in range(ROUNDS):
            for way, port in ways.items():
                for keeps in (True, False):
                    figures = asyncio.run(_ask(port, keeps=keeps))
                    seen.setdefault((way, keeps), []).append(figures)
    return _table(list(ways), {key: _middle(rounds) for key, rounds in seen.items()})


def _table(ways: list[str], seen: dict[tuple[str, bool], Figures]) -> Table:
    columns = [
        f"{kind}: {what}"
        for kind in ("kept", "new")
        for what in ("requests/s", "of direct", "p50 ms", "p99 ms")
    ]
    title = f"through a switch: kept and new connections, {USERS} users, {ROUNDS} x {SECONDS:g} s"
    table = Table("way", *columns, title=title)
    for way in ways:
        cells = []
        for keeps in (True, False):
            figures, direct = seen[way, keeps], seen["directly", keeps]
            cells += [f"{figures.rate:.0f}", f"{figures.rate / direct.rate:.2f}"]
            cells += [f"{figures.median:.1f}", f"{figures.slow:.1f}"]
        table.add_row(way, *cells)
    return table


def _middle(rounds: list[Figures]) -> Figures:
    return Figures(*(statistics.median(values) for values in zip(*rounds, strict=True)))


# -- the ways


@contextmanager
def _folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="bx-") as folder:
        yield folder


@contextmanager
def _service(home: Path) -> Iterator[int]:
    """The port of a service that does nothing, in a process of its own."""
    port = free_port()
    argv = (sys.executable, "-m", "tests.bench_switch", str(port))
    process = command.start(argv, log=home / "service.log", cwd=ROOT)
    try:
        _until_open(port)
        yield port
    finally:
        command.stop(process)


def _embedded(home: Path, service: int, stack: ExitStack) -> dict[str, int]:
    supervisor = Supervisor(home / "supervisor")
    supervisor.start()
    stack.callback(supervisor.shut_down)
    switch = EmbeddedSwitch(LocalSwitchProcess(home / "switch", supervisor))
    address = f"127.0.0.1:{service}"
    some = Candidate(upstream=address, release="2", share=10)
    asked = Candidate(upstream=address, release="2", header=("x-try", "2"))
    return {
        "embedded": _routed(switch, service, None),
        "embedded, a share for a candidate": _routed(switch, service, some),
        "embedded, a header for a candidate": _routed(switch, service, asked),
    }


def _caddy(home: Path, service: int, stack: ExitStack) -> int:
    caddy = Caddy(home / "caddy")
    caddy.start()
    stack.callback(caddy.stop)
    return _routed(CaddySwitch(CaddyAdmin(caddy.admin)), service, None)


def _routed(switch: Switch, service: int, candidate: Candidate | None) -> int:
    port = free_port()
    switch.point(
        Route(
            service=f"bench-{port}",
            port=port,
            upstream=f"127.0.0.1:{service}",
            release="1",
            fence=1,
            candidate=candidate,
        )
    )
    _until_open(port)
    return port


def _until_open(port: int) -> None:
    async def connect() -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return

    asyncio.run(asyncio.wait_for(connect(), 20))


# -- the users


class _User(asyncio.Protocol):
    """Asks again as soon as it is answered; on a new connection each time unless it keeps it."""

    def __init__(self, taken: list[float], again: Callable[[], None] | None) -> None:
        self._taken, self._again = taken, again
        self._began = time.perf_counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        assert data.endswith(b"ok"), data
        now = time.perf_counter()
        self._taken.append(now - self._began)
        if self._again is not None:
            self._transport.abort()  # not one TIME_WAIT for each request
            self._again()
            return
        self._began = now
        self._transport.write(REQUEST)


async def _ask(port: int, *, keeps: bool) -> Figures:
    loop = asyncio.get_running_loop()
    taken: list[float] = []
    is_over = False
    opening: set[asyncio.Task[object]] = set()

    def begin() -> None:
        if not is_over:
            user = _User(taken, None if keeps else begin)
            task = loop.create_task(loop.create_connection(lambda: user, "127.0.0.1", port))
            opening.add(task)
            task.add_done_callback(opening.discard)

    for _ in range(USERS):
        begin()
    await asyncio.sleep(SECONDS)
    is_over = True
    count = len(taken)
    taken.sort()
    return Figures(
        count / SECONDS, taken[count // 2] * 1000, taken[min(count - 1, int(count * 0.99))] * 1000
    )


class _Service(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(ANSWER)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Service, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_serve(int(sys.argv[1])))
    else:
        Console().print(switch_table())
