"""`make bench-deploy`: what users meet while a release is deployed, breaks, or its host is hit.

One table: a column group for each target that this machine can run, a row for each thing that
happens, under a load of new and kept connections, GET, POST and a WebSocket. Never a test.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.deploy_generated import Generated
from tests.deploy_scenarios import GUARD_SECONDS, LONG_GUARD_SECONDS, SCENARIOS, Outcome, Shop
from tests.deploy_stations import START_SECONDS, Missing, Stations

ELSEWHERE = """elsewhere, measured on such a machine with 100 to 200 new connections a second:
kamal-proxy deploys in 1.03-1.11 s with 0 failed, fails 335 of 335 when /health lies and 371 of 371
after the crash, until a human comes; piku fails 121-409 a deploy; stop-then-start 68-124"""


@dataclass
class Figures:
    """All runs of all scenarios on one station."""

    runs: dict[str, list[Outcome]] = field(default_factory=dict)
    switch_mebibytes: float = 0
    machine_load: float = 0

    def cells(self, scenario: str) -> list[str]:
        """Failed of sent, longest gap, seconds: each as worst/median."""
        runs = self.runs.get(scenario, [])
        if not runs:
            return ["", "", ""]
        met = [list(run.report.requests().values()) for run in runs]
        failed = _worst([sum(one.failed for one in kinds) for kinds in met], 0)
        sent = sum(one.sent for kinds in met for one in kinds)
        gap = _worst([max(one.longest_gap_ms for one in kinds) for kinds in met], 0)
        seconds = [run.seconds for run in runs if run.seconds is not None]
        surprise = " !" if any(run.surprise for run in runs) else ""
        return [f"{failed} of {sent}{surprise}", gap, _worst(seconds, 2) if seconds else ""]


def measure(shop: Shop, wanted: list[str], times: int) -> Figures:
    """Every wanted scenario so many times."""
    station, figures = shop.station, Figures()
    shop.start()
    for scenario in wanted:
        print(f"{station.target.name}: {scenario}", file=sys.stderr)  # noqa: T201 - it takes long
        figures.runs[scenario] = [SCENARIOS[scenario](shop) for _ in range(times)]
    figures.switch_mebibytes = station.switch_mebibytes()
    figures.machine_load = os.getloadavg()[1]
    return figures


def overview(of: dict[str, Figures], wanted: list[str], missing: dict[str, str]) -> Table:
    table = Table(title="what users meet, worst/median", caption=_caption(missing))
    table.add_column("")
    for name in of:
        for column in (f"{name}\nfailed", "gap, ms", "s"):
            table.add_column(column, justify="right")
    for scenario in wanted:
        table.add_row(scenario, *(cell for one in of.values() for cell in one.cells(scenario)))
    memory = [f"{figures.switch_mebibytes:.0f} MiB" for figures in of.values()]
    table.add_row("memory of the switch and its spare", *_under_each(memory))
    loads = [f"{figures.machine_load:.1f}" for figures in of.values()]
    table.add_row("load average of the machine meanwhile", *_under_each(loads))
    return table


def _under_each(cells: list[str]) -> list[str]:
    """A single figure of each target, in the middle of its group."""
    return [text for cell in cells for text in ("", cell, "")]


def by_kind(of: dict[str, Figures], scenario: str) -> Table:
    columns = ("sent", "failed", "gap, ms", "p50, ms", "p99, ms")
    table = Table("target", "users", *columns, title=scenario)
    for name, figures in of.items():
        for run in figures.runs.get(scenario, [])[:1]:
            for kind, met in run.report.requests().items():
                times = (met.longest_gap_ms, met.p50_ms, met.p99_ms)
                shown = (f"{time:.1f}" for time in times)
                table.add_row(name, kind, str(met.sent), str(met.failed), *shown)
    return table


def remarks(of: dict[str, Figures]) -> Iterator[str]:
    """Why requests failed, and what did not end as it should."""
    for name, figures in of.items():
        for scenario, runs in figures.runs.items():
            yield from (f"! {name}, {scenario}: {run.surprise}" for run in runs if run.surprise)
            reasons = _reasons(runs)
            if reasons:
                said = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
                yield f"{name}, {scenario}: {said}"


def _reasons(runs: list[Outcome]) -> Counter[str]:
    reasons: Counter[str] = Counter()
    for run in runs:
        for met in run.report.requests().values():
            reasons.update(met.reasons)
    return reasons


def _caption(missing: dict[str, str]) -> str:
    lines = [
        "about 310 requests a second: GET and POST on new and on kept connections, health probes,",
        f"one WebSocket; `!`: not as it should be; a start is given up after {START_SECONDS} s;",
        f"guarded for {GUARD_SECONDS:g} s, the crashing one {LONG_GUARD_SECONDS:g} s, which is not",
        "counted in the seconds until a good release is live",
        *ELSEWHERE.splitlines(),
        *(f"not here: {name}: {reason}" for name, reason in missing.items()),
    ]
    return "\n".join(lines)


def _worst(figures: list[float], digits: int) -> str:
    return f"{max(figures):.{digits}f}/{statistics.median(figures):.{digits}f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="each scenario once")
    parser.add_argument("--target", action="append", help="only this one")
    parser.add_argument("--scenario", action="append", help="only those with this in their name")
    return parser.parse_args()


def main() -> None:
    options, console = _options(), Console(width=180)
    wanted = [name for name in SCENARIOS if any(word in name for word in options.scenario or [""])]
    figures, missing = dict[str, Figures](), dict[str, str]()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-deploy-")))
        stations, generated = Stations(stack, folder), Generated(folder / "generated")
        for number, name in enumerate(options.target or stations.open):
            releases = folder / f"releases-{number}"
            releases.mkdir()
            try:
                with stations.open[name]() as station:
                    times = 1 if options.quick else 3
                    shop = Shop(station, releases, generated=generated)
                    figures[name] = measure(shop, wanted, times)
                console.print(overview({name: figures[name]}, wanted, {}))
            except Missing as reason:
                missing[name] = str(reason)
    console.print(overview(figures, wanted, missing))
    for scenario in wanted[:2]:
        console.print(by_kind(figures, scenario))
    for remark in remarks(figures):
        console.print(remark)


if __name__ == "__main__":
    main()
