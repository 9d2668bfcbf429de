"""What a build has said so far and says now, read once for all who watch it.

Prefect's database is the truth: one feed per build reads the log again and again, a little back in
time, because lines of different processes arrive out of order, and knows each line by its id, so
nothing is missed and nothing comes twice.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from api.errors import ApiError
from api.phases import current_phase, project_phases
from api.projection import error_of, status_of
from api.runs import LogLine, Run, StateType, TaskRun
from api.schemas import iso
from build_executor.events import EVENTS_LOGGER, Event, EventType, parse

MOST_LINES = 20_000
SEND_SECONDS = 5.0
_POLL_SECONDS = 0.3
_WAITING_POLL_SECONDS = 0.5
_OVERLAP = timedelta(seconds=5)
_QUIET_SECONDS = 3.0
_LAST_WORDS = "Finished in state"
_FLOW_LOGGER = "prefect.flow_runs"
_APPROVALS = frozenset({EventType.APPROVAL_REQUIRED, EventType.APPROVAL_RECORDED})

_log = logging.getLogger(__name__)
Json = dict[str, Any]


class Source(Protocol):
    """What a feed is read from: the gateway."""

    async def read(self, any_id: str) -> Run | None:
        """A run."""
        ...

    async def read_build(self, build_id: str) -> Run | None:
        """A run, if it is a build."""
        ...

    async def logs(self, flow_run_id: str, after: datetime | None) -> list[LogLine]:
        """The lines of a run's log at or after a moment, in order of time."""
        ...

    async def task_runs(self, run_ids: list[str]) -> list[TaskRun]:
        """The task runs of runs."""
        ...


class Feed:
    """All messages of one build in the order in which they arrived; grows until the build ends."""

    def __init__(self, source: Source, run: Run) -> None:
        self.messages: list[str] = []
        self.ended = False
        self.broken = False
        self.watchers = 0
        self._source, self._run = source, run
        self._position: dict[str, int] = {}
        self._newest: datetime | None = None
        self._finished_line = False
        self._changed = asyncio.Event()

    def start_after(self, message_id: str | None) -> int:
        """The index of the first message that a watcher wants."""
        return self._position.get(message_id, -1) + 1 if message_id else 0

    async def more_than(self, index: int) -> None:
        """Return when there is a message at `index`, or there will be none."""
        while len(self.messages) <= index and not (self.ended or self.broken):
            await self._changed.wait()

    async def follow(self) -> None:
        """Read until the build is over and its log is complete; Prefect may be away meanwhile."""
        quiet_since = None
        while not self.ended:
            try:
                grown = await self._read()
            except ApiError as error:
                _log.info("stream of %s: %s", self._run.id, error)
                await asyncio.sleep(_WAITING_POLL_SECONDS)
                continue
            now = asyncio.get_running_loop().time()
            quiet_since = now if grown or quiet_since is None else quiet_since
            if self._is_complete(now - quiet_since, grown=grown):
                await self._end()
                return
            waiting = self._run.state.type in {StateType.SCHEDULED, StateType.PAUSED}
            await asyncio.sleep(_WAITING_POLL_SECONDS if waiting else _POLL_SECONDS)

    async def _read(self) -> bool:
        """Whether there was anything new. The state is read first: its log is never older."""
        run = await self._source.read(self._run.id)
        self._run = run or self._run
        since = None if self._newest is None else self._newest - _OVERLAP
        return self._add(await self._source.logs(self._run.id, since))

    def _add(self, lines: list[LogLine]) -> bool:
        new = [line for line in lines if line.id not in self._position]
        for line in new:
            self._newest = max(line.timestamp, self._newest or line.timestamp)
            self._finished_line |= line.name == _FLOW_LOGGER and _LAST_WORDS in line.message
            message = message_of(self._run.id, line)
            self._position[line.id] = len(self.messages)
            if message["event_type"] != "log" or len(self.messages) < MOST_LINES:
                self._append(message)
        return bool(new)

    def _is_complete(self, quiet: float, *, grown: bool) -> bool:
        """The engine's last line is sent after all others; without it, silence has to do."""
        if grown or not self._run.state.is_terminal:
            return False
        age = datetime.now(UTC) - self._run.state.timestamp
        long_over = age > timedelta(seconds=60)
        return long_over or self._finished_line or quiet >= _QUIET_SECONDS

    async def _end(self) -> None:
        """Whatever was late gets its last chance; then the end."""
        self._add(await self._source.logs(self._run.id, None))
        tasks = await self._source.task_runs([self._run.id])
        now = datetime.now(UTC)
        state, reason = error_of(
            self._run, current_phase(project_phases(self._run, tasks, {}, now))
        )
        self.ended = True
        self._append(
            {
                "event_type": "end",
                "build_id": self._run.id,
                "status": status_of(self._run),
                "error": f"{state}: {reason}" if state else reason,
                "error_state": state,
                "timestamp": iso(self._run.state.timestamp),
            }
        )

    def reader_is_done(self, reader: asyncio.Task[None]) -> None:
        """Nobody reads any more; if that was an error, the watchers are told."""
        self.broken = not reader.cancelled() and reader.exception() is not None
        self._changed.set()

    def _append(self, message: Json) -> None:
        self.messages.append(json.dumps(message))
        self._changed.set()
        self._changed = asyncio.Event()


class Hub:
    """The feeds of all builds that somebody watches; the last watcher takes the feed away."""

    def __init__(self, source: Source, send_seconds: float = SEND_SECONDS) -> None:
        self.source, self.send_seconds = source, send_seconds
        self._feeds: dict[str, tuple[Feed, asyncio.Task[None]]] = {}

    @property
    def watchers(self) -> int:
        """How many watch anything now."""
        return sum(feed.watchers for feed, _ in self._feeds.values())

    @contextlib.asynccontextmanager
    async def feed(self, run: Run) -> AsyncIterator[Feed]:
        """The feed of this build, for one watcher."""
        if run.id not in self._feeds:
            feed = Feed(self.source, run)
            reader = asyncio.create_task(_until_ended(feed))
            reader.add_done_callback(feed.reader_is_done)
            self._feeds[run.id] = (feed, reader)
        feed, reader = self._feeds[run.id]
        feed.watchers += 1
        try:
            yield feed
        finally:
            feed.watchers -= 1
            if feed.watchers == 0:
                del self._feeds[run.id]
                reader.cancel()


def message_of(build_id: str, line: LogLine) -> Json:
    """A line as the stream shows it: an event if the build's own logger wrote it, else a log."""
    event = parse(line.message) if line.name == EVENTS_LOGGER else None
    common = {"build_id": build_id, "timestamp": iso(line.timestamp), "id": line.id}
    if event is None:
        level = logging.getLevelName(line.level).lower()
        return {
            "event_type": "log",
            **common,
            "level": level,
            "logger": line.name,
            "message": line.message,
        }
    return {"event_type": event.event_type, "phase": event.phase, **common, **_said(event)}


def _said(event: Event) -> Json:
    said: Json = {}
    if event.progress_percent is not None:
        said["progress_percent"] = event.progress_percent
    if event.duration_seconds is not None:
        said["duration_seconds"] = event.duration_seconds
    if event.message:
        said["message"] = event.message
    if event.event_type in _APPROVALS:
        said["checkpoint"] = event.phase
    return said


async def _until_ended(feed: Feed) -> None:
    while not feed.ended:
        try:
            await feed.follow()
        except ApiError as error:
            _log.info("stream: %s", error)
            await asyncio.sleep(_WAITING_POLL_SECONDS)
