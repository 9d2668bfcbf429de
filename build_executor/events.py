"""The build's own words on its log: one readable line an event, and back again.

The stream of a build is its Prefect log, so whoever connects late misses nothing. Events are lines
of one logger, `EVENTS_LOGGER`, and only this module writes to it: what generated code prints
arrives under other logger names and can never pass for an event.
"""

import logging
import re
from enum import StrEnum

from build_executor.models import Value
from build_executor.phases import Phase

EVENTS_LOGGER = "build_executor.events"


class EventType(StrEnum):
    """The kinds of event on a build's stream."""

    PHASE_START = "phase_start"
    PROGRESS = "progress"
    PHASE_COMPLETE = "phase_complete"
    PHASE_FAILED = "phase_failed"
    APPROVAL_REQUIRED = "approval_required"
    APPROVAL_RECORDED = "approval_recorded"


class Event(Value):
    """One event; `phase` is the checkpoint's name for the two approval events."""

    event_type: EventType
    phase: str
    progress_percent: int | None = None
    duration_seconds: float | None = None
    message: str = ""


_LINE = re.compile(
    r"(?P<event_type>[a-z_]+) (?P<phase>[a-z_]+)"
    r"(?: (?P<percent>\d+)%)?(?: in (?P<seconds>\d+\.\d+) s)?(?:: (?P<message>.*))?",
    re.DOTALL,
)


def render(event: Event) -> str:
    """One line such as `progress code_generation 50%: generated app/main.py`."""
    percent = "" if event.progress_percent is None else f" {event.progress_percent}%"
    seconds = "" if event.duration_seconds is None else f" in {event.duration_seconds:.3f} s"
    message = f": {event.message}" if event.message else ""
    return f"{event.event_type} {event.phase}{percent}{seconds}{message}"


def parse(line: str) -> Event | None:
    """The event that `render` wrote as this line; None for any other text."""
    match = _LINE.fullmatch(line)
    if match is None or match["event_type"] not in set(EventType):
        return None
    return Event(
        event_type=EventType(match["event_type"]),
        phase=match["phase"],
        progress_percent=int(match["percent"]) if match["percent"] else None,
        duration_seconds=float(match["seconds"]) if match["seconds"] else None,
        message=match["message"] or "",
    )


def emit(event: Event) -> None:
    """Write the event to the log of the running build."""
    logging.getLogger(EVENTS_LOGGER).info("%s", render(event))


def report_progress(phase: Phase, percent: int, message: str) -> None:
    """Say how far a phase has come: `percent` of 0 to 100, and what was just done."""
    emit(
        Event(event_type=EventType.PROGRESS, phase=phase, progress_percent=percent, message=message)
    )
