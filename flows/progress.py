"""What an operator sees while a build runs: phase events on the log, and one number a phase."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from build_executor.events import EVENTS_LOGGER, Event, EventType, emit, parse
from build_executor.files import write_atomically
from build_executor.phases import Phase


@contextmanager
def phase(name: Phase) -> Iterator[None]:
    """Announce that a phase starts, and then that it is complete or has failed."""
    emit(Event(event_type=EventType.PHASE_START, phase=name))
    started, ended = time.monotonic(), EventType.PHASE_FAILED
    try:
        yield
        ended = EventType.PHASE_COMPLETE
    finally:
        emit(Event(event_type=ended, phase=name, duration_seconds=time.monotonic() - started))


@contextmanager
def progress_kept_in(path: Path) -> Iterator[None]:
    """Keep the newest progress of each phase in a file that the adapter reads."""
    handler = _ProgressFile(path)
    logger = logging.getLogger(EVENTS_LOGGER)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _ProgressFile(logging.Handler):
    def __init__(self, path: Path) -> None:
        super().__init__(logging.INFO)
        self._path, self._percents = path, dict[str, int]()

    def emit(self, record: logging.LogRecord) -> None:
        event = parse(record.getMessage())
        if event is None or event.progress_percent is None:
            return
        self._percents[event.phase] = event.progress_percent
        write_atomically(self._path, json.dumps(self._percents).encode())
