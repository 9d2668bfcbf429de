"""The figures of a corpus, against their goals: as a page for people, and as data."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from build_executor.spec.report import status_of
from tests.corpus.pipeline import Outcome
from tests.corpus.round_trip import RoundTrip
from tests.corpus.truth import Reading

_STAGES = ("generation", "build", "verification", "deployment", "health")
_INTRODUCTION = """# The corpus

Real SPECs with hand-checked truth, each taken through every phase of a build on one machine, one
after the other. `make corpus` writes this page and [corpus.json](corpus.json) anew."""
_LEGEND = """Endpoints: found of those in the truth, `+` false ones. Operations: implemented /
derived with an assumption / answering 501 with their SPEC line. Tests run in the sandbox on the
packed source, checks ask a staged copy. Fuzzing: findings of schemathesis, `-` where the
verification does not run it. Round trip: parts of the contract that survive being written as a SPEC
and read again, in each of two dialects."""


@dataclass(slots=True)
class Entry:
    """Everything known of one document; `outcome` is None if it was not to be built."""

    reading: Reading
    milliseconds: float
    outcome: Outcome | None
    trips: list[RoundTrip]

    @property
    def service(self) -> str:
        """Its name; the document's where there is none."""
        return self.reading.contract.service if self.reading.contract else self.reading.name

    def operations(self) -> dict[str, int]:
        """How many business operations are implemented, derived, or answer 501."""
        counts = dict.fromkeys(("implemented", "derived", "stub-501"), 0)
        if self.reading.contract is not None:
            for operation in self.reading.contract.business:
                counts[status_of(operation, self.reading.contract)] += 1
        return counts


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure of the whole corpus and what it has to be."""

    name: str
    value: float
    text: str
    wanted: str
    is_met: bool


def goals(entries: list[Entry]) -> list[Goal]:
    """The corpus against each goal, in the order of importance."""
    readings = [entry.reading for entry in entries]
    buildable = [reading for reading in readings if reading.buildable]
    expected = sum(reading.expected for reading in buildable)
    found = sum(reading.found for reading in buildable)
    false = sum(len(reading.false) for reading in buildable)
    built = [e.outcome for e in entries if e.outcome is not None]
    refusable = [reading for reading in readings if not reading.buildable]
    return [
        _share("endpoints found", found, expected, 0.98),
        _share("false endpoints", false, found + false, 0.01, most=True),
        _share("names right", sum(r.is_named for r in buildable), len(buildable), 0.95),
        _share("ports right", sum(r.is_ported for r in buildable), len(buildable), 0.95),
        _share("refusals right", sum(r.is_judged_right for r in refusable), len(refusable), 1),
        _share("pipeline completed", sum(o.completed for o in built), len(buildable), 0.95),
        _share("contracts kept by a round trip", *_kept(entries), 0.95),
        _milliseconds([e.milliseconds for e in entries if e.reading.contract is not None]),
        _none("left running after a build", sum(outcome.left_behind for outcome in built)),
    ]


def _kept(entries: list[Entry]) -> tuple[int, int]:
    trips = [trip for entry in entries for trip in entry.trips]
    return sum(trip.kept for trip in trips), sum(trip.parts for trip in trips)


def _share(name: str, part: int, whole: int, wanted: float, *, most: bool = False) -> Goal:
    value = part / whole if whole else float(not most)
    is_met = value <= wanted if most else value >= wanted
    text = f"{value:.1%} ({part} of {whole})"
    return Goal(name, value, text, f"{'at most' if most else 'at least'} {wanted:.0%}", is_met)


def _milliseconds(values: list[float]) -> Goal:
    value = statistics.median(values or [0])
    name = "parsing and emitting, median"
    return Goal(name, value, f"{value:.0f} ms", "at most 150 ms", value <= 150)


def _none(name: str, count: int) -> Goal:
    return Goal(name, count, str(count), "0", count == 0)


def as_data(entries: list[Entry]) -> dict[str, Any]:
    """The whole result as JSON."""
    return {
        "goals": [asdict(goal) for goal in goals(entries)],
        "documents": [_document(entry) for entry in entries],
    }


def _document(entry: Entry) -> dict[str, Any]:
    reading = entry.reading
    return {
        "document": reading.name,
        "buildable": reading.buildable,
        "refused": reading.reason or None,
        "service": reading.contract.service if reading.contract else None,
        "port": reading.contract.port if reading.contract else None,
        "name_is_right": reading.is_named,
        "port_is_right": reading.is_ported,
        "endpoints": {
            "expected": reading.expected,
            "found": reading.found,
            "missing": reading.missing,
            "false": reading.false,
        },
        "operations": entry.operations(),
        "milliseconds": round(entry.milliseconds, 1),
        "build": asdict(entry.outcome) if entry.outcome else None,
        "round_trips": [asdict(trip) for trip in entry.trips],
    }


def as_page(entries: list[Entry]) -> str:
    """The result as Markdown."""
    built = [entry for entry in entries if entry.reading.buildable]
    parts = [
        _INTRODUCTION,
        "## Goals",
        _table(("figure", "value", "goal", ""), map(_goal_row, goals(entries))),
        "## Services",
        _table(_COLUMNS, map(_service_row, built)),
        f"In total: {_totals(built)}.",
        _LEGEND,
        "## Refused",
        _table(("document", "reason", "right"), map(_refusal_row, _refused(entries))),
        *_remarks(entries),
    ]
    return "\n\n".join(parts) + "\n"


_COLUMNS = (
    *("service", "endpoints", "operations", "tests", "checks", "fuzzing", "round trip"),
    *("compile ms", *(f"{stage} s" for stage in _STAGES), "result"),
)


def _table(columns: tuple[str, ...], rows: Iterator[list[str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _goal_row(goal: Goal) -> list[str]:
    return [goal.name, goal.text, goal.wanted, "met" if goal.is_met else "**missed**"]


def _service_row(entry: Entry) -> list[str]:
    reading, outcome = entry.reading, entry.outcome or Outcome(failed_in="reading")
    false = f" +{len(reading.false)}" if reading.false else ""
    fuzzing = "-" if outcome.fuzzing is None else str(len(outcome.fuzzing))
    return [
        entry.service,
        f"{reading.found}/{reading.expected}{false}",
        " / ".join(map(str, entry.operations().values())),
        f"{outcome.tests_passed}/{outcome.tests}",
        f"{outcome.checks_passed}/{outcome.checks}",
        fuzzing,
        ", ".join(f"{trip.kept}/{trip.parts}" for trip in entry.trips),
        f"{entry.milliseconds:.0f}",
        *(f"{outcome.seconds.get(stage, 0):.1f}" for stage in _STAGES),
        "completed" if outcome.completed else f"**failed in {outcome.failed_in}**",
    ]


def _totals(entries: list[Entry]) -> str:
    total = _summed([entry.operations() for entry in entries])
    words = {"implemented": "implemented", "derived": "derived", "stub-501": "answering 501"}
    said = ", ".join(f"{total(name)} {word}" for name, word in words.items())
    outcomes = [entry.outcome or Outcome() for entry in entries]
    tests, checks = sum(o.tests for o in outcomes), sum(o.checks for o in outcomes)
    seconds = statistics.median([sum(o.seconds.values()) for o in outcomes] or [0])
    return (
        f"{sum(map(total, words))} business operations, {said}; "
        f"{sum(o.tests_passed for o in outcomes)} of {tests} tests and "
        f"{sum(o.checks_passed for o in outcomes)} of {checks} checks passed; "
        f"{seconds:.1f} s a service in the median"
    )


def _summed(counts: list[dict[str, int]]) -> Callable[[str], int]:
    return lambda name: sum(count[name] for count in counts)


def _refused(entries: list[Entry]) -> list[Entry]:
    return [e for e in entries if not e.reading.buildable or e.reading.contract is None]


def _refusal_row(entry: Entry) -> list[str]:
    reading = entry.reading
    right = "yes" if reading.is_judged_right else "**no**"
    return [reading.name, reading.reason or "not refused", right]


def _remarks(entries: list[Entry]) -> list[str]:
    """What is not as it should be, document by document."""
    lines = [f"- {entry.service}: {remark}" for entry in entries for remark in _faults(entry)]
    return ["## What is not right", "\n".join(lines)] if lines else []


def _faults(entry: Entry) -> Iterator[str]:
    reading, outcome = entry.reading, entry.outcome
    yield from (f"missing `{endpoint}`" for endpoint in reading.missing)
    yield from (f"false `{endpoint}`" for endpoint in reading.false)
    if outcome is not None and outcome.failure:
        first = outcome.failure.split("\n", maxsplit=1)[0]
        yield f"failed in {outcome.failed_in}: {first}"
    yield from (f"schemathesis: {found}" for found in (outcome and outcome.fuzzing) or ())
    for trip in entry.trips:
        lost = [part.split(":")[0] for part in trip.lost]
        if lost:
            yield f"written in {trip.dialect}, it changes in `{'`, `'.join(lost)}`"
