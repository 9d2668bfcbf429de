"""`make bench`: the product's figures on this machine, printed side by side; never a test.

A stack of its own is started in a temporary folder and stopped again.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from tests.end_to_end.stack import ROOT, Stack
from tests.ports import free_port

EXAMPLE = (ROOT / "examples" / "payment-processor" / "SPEC.md").read_text(encoding="utf-8")
TEMPLATE = (ROOT / "tests" / "specs" / "notes.md").read_text(encoding="utf-8")
WARM_BUILDS = 5
REQUESTS = 300


def main() -> None:
    console = Console()
    with _stack() as stack:
        cold = stack.finished(stack.submit(_example(stack, 0)))
        warm = [stack.finished(stack.submit(_example(stack, n))) for n in range(1, WARM_BUILDS + 1)]
        box = stack.environment["SCHEMATHESIS_SECONDS"]
        guard = float(stack.environment["GUARD_SECONDS"])
        console.print(f"schemathesis gets {box} s of each verification, where the default is 8")
        console.print(f"a new release is guarded for {guard:g} s, where the default is 10")
        console.print(_builds_table(cold, warm, guard))
        console.print(_parallel_table(stack, _total(warm)))
        console.print(_api_table(stack, warm[-1]["build_id"]))
        console.print(_memory_table(stack))


@contextmanager
def _stack() -> Iterator[Stack]:
    home = Path(tempfile.mkdtemp(prefix="bx-"))
    stack = Stack(home)
    try:
        stack.run("deployments.stack", "up")
        yield stack
    finally:
        stack.run("deployments.stack", "down")
        shutil.rmtree(home)


def _builds_table(cold: dict[str, Any], warm: list[dict[str, Any]], guard: float) -> Table:
    """The guard is a setting, and no work: what is left without it can be compared."""
    table = Table("seconds", "cold", f"warm, median of {len(warm)}", "slowest", title="one build")
    for build in (cold, *warm):
        assert build["status"] == "completed", build
    for phase in cold["phases"]:
        _row(table, phase, _phase(cold, phase), [_phase(build, phase) for build in warm])
    deployments = [_phase(build, "deployment") - guard for build in (cold, *warm)]
    _row(table, "deployment without the guard", deployments[0], deployments[1:])
    _row(table, "submit to first phase", _waited(cold), [_waited(build) for build in warm])
    totals = [_seconds(build) for build in (cold, *warm)]
    _row(table, "submit to completed", totals[0], totals[1:])
    _row(
        table, "the same without the guard", totals[0] - guard, [one - guard for one in totals[1:]]
    )
    return table


def _parallel_table(stack: Stack, one: float) -> Table:
    def build(number: int) -> dict[str, Any]:
        text = TEMPLATE.format(service=f"bench-{number}", version="1.0.0", port=free_port())
        return stack.finished(stack.submit(stack.write_spec(f"bench-{number}", text)))

    build(0)
    started = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        builds = list(pool.map(build, (1, 2, 3)))
    took = time.monotonic() - started
    assert {build["status"] for build in builds} == {"completed"}
    table = Table("three builds at once", "value", title="concurrency")
    table.add_row("all three completed, s", f"{took:.1f}")
    table.add_row("against one warm build", f"{took / one:.2f} x")
    return table


def _api_table(stack: Stack, build_id: str) -> Table:
    table = Table("ms", "p50", "p99", title=f"adapter, {REQUESTS} requests each, one client")
    for path in ("/health", "/state", f"/builds/{build_id}/status", "/builds?limit=20"):
        taken = sorted(_timed(partial(stack.http.get, path)) for _ in range(REQUESTS))
        name = path.replace(build_id, "{id}")
        table.add_row(name, *(f"{taken[int(len(taken) * q)] * 1000:.1f}" for q in (0.5, 0.99)))
    return table


def _memory_table(stack: Stack) -> Table:
    table = Table("process", "RSS, MiB", "USS, MiB", title="memory")
    build_id = stack.submit(_example(stack, WARM_BUILDS + 1))
    stack.until(build_id, lambda build: build["phases"]["build"]["status"] == "running")
    names = {
        "prefect server": "server start",
        "worker": "worker start",
        "adapter": "-m api",
        "one build": "prefect.engine",
        "switch": "build_executor.forwarder",
        "deployed service": "uvicorn app.main",
    }
    for name, words in names.items():
        memory = [
            used for process in psutil.process_iter() if (used := _memory(process, stack, words))
        ]
        if memory:
            table.add_row(name, *(f"{max(m[i] for m in memory) / 2**20:.0f}" for i in (0, 1)))
    stack.finished(build_id)
    return table


def _memory(process: psutil.Process, stack: Stack, words: str) -> tuple[int, int] | None:
    try:
        environment = process.environ()
        mine = str(stack.home) in str(environment) or str(stack.home) in str(process.cmdline())
        if not mine or words not in " ".join(process.cmdline()):
            return None
        used = process.memory_full_info()
    except psutil.Error:
        return None
    return used.rss, used.uss


def _example(stack: Stack, number: int) -> str:
    """The example in a version of its own: an unchanged one is live already."""
    return stack.write_spec(f"example-{number}", EXAMPLE.replace("1.0.0", f"1.{number}.0"))


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _row(table: Table, name: str, cold: float, warm: list[float]) -> None:
    table.add_row(name, *(f"{s:.2f}" for s in (cold, statistics.median(warm), max(warm))))


def _total(builds: list[dict[str, Any]]) -> float:
    return statistics.median(_seconds(build) for build in builds)


def _phase(build: dict[str, Any], phase: str) -> float:
    return _between(build["phases"][phase]["started_at"], build["phases"][phase]["completed_at"])


def _waited(build: dict[str, Any]) -> float:
    return _between(build["created_at"], build["phases"]["code_generation"]["started_at"])


def _seconds(build: dict[str, Any]) -> float:
    return _between(build["created_at"], build["completed_at"])


def _between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


if __name__ == "__main__":
    main()
