"""The stream of a build: everything it has said so far, then what it says, then how it ended.

Prefect's database is the truth: one feed per build reads the log again and again, a little back in
time, because lines of different processes arrive out of order, and knows each line by its id, so
nothing is missed and nothing comes twice. All watchers of a build share its feed. A watcher that
does not keep up is dropped; it never holds up the others.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from api.auth import SUBPROTOCOL, Caller, Scope, identify
from api.errors import ApiError, error_response
from api.phases import current_phase, project_phases
from api.projection import error_of, status_of
from api.runs import LogLine, Run, StateType, TaskRun
from api.schemas import iso
from build_executor.events import EVENTS_LOGGER, Event, EventType, parse

MOST_WATCHERS = 500
MOST_LINES = 20_000
HEARTBEAT_SECONDS = 15.0
COMPLETE, BROKEN = 1000, 1011
UNKNOWN_BUILD, TOKEN_EXPIRED, TOO_SLOW, UNSUPPORTED = 4404, 4401, 4408, 1003
_POLL_SECONDS = 0.3
_WAITING_POLL_SECONDS = 0.5
SEND_SECONDS = 5.0
_CLOSE_SECONDS = 1.0
_OVERLAP = timedelta(seconds=5)
_QUIET_SECONDS = 3.0
_LAST_WORDS = "Finished in state"
_FLOW_LOGGER = "prefect.flow_runs"
_APPROVALS = frozenset({EventType.APPROVAL_REQUIRED, EventType.APPROVAL_RECORDED})

router = APIRouter()
_log = logging.getLogger(__name__)
Json = dict[str, Any]


@router.websocket("/builds/{build_id}/stream")
async def stream_build(
    websocket: WebSocket, build_id: str, after: Annotated[str | None, Query()] = None
) -> None:
    """Events and log lines of a build, from its first one or from the one after the id `after`."""
    hub: Hub = websocket.app.state.hub
    try:
        caller = _admitted(websocket, hub)
        run = await hub.source.read_build(build_id)
    except ApiError as error:
        await websocket.send_denial_response(error_response(error))
        return
    await websocket.accept(_chosen_subprotocol(websocket))
    if run is None:
        await websocket.close(UNKNOWN_BUILD, "there is no such build")
        return
    async with hub.feed(run) as feed:
        await _Watcher(websocket, feed, caller, hub.send_seconds).watch(after)


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


class _Watcher:
    def __init__(
        self, websocket: WebSocket, feed: Feed, caller: Caller, send_seconds: float
    ) -> None:
        self._websocket, self._feed, self._caller = websocket, feed, caller
        self._send_seconds = send_seconds

    async def watch(self, after: str | None) -> None:
        """Until the build ends, the watcher leaves or fails, or the token expires."""
        sender = asyncio.create_task(self._send_all(self._feed.start_after(after)))
        listener = asyncio.create_task(self._listen())
        try:
            done, _ = await asyncio.wait(
                {sender, listener}, timeout=self._life(), return_when=asyncio.FIRST_COMPLETED
            )
            code = next((task.result() for task in done), TOKEN_EXPIRED)
        finally:
            sender.cancel()
            listener.cancel()
        if code is not None:
            await self._close(code)

    def _life(self) -> float | None:
        if self._caller.expires_at is None:
            return None
        return max(0.0, (self._caller.expires_at - datetime.now(UTC)).total_seconds())

    async def _send_all(self, index: int) -> int | None:
        """The code to close with."""
        try:
            while not self._is_through(index):
                for message in self._feed.messages[index : index + 100]:
                    index += 1
                    await self._send(message)
                await self._wait_for(index)
        except TimeoutError:
            return TOO_SLOW
        except WebSocketDisconnect:
            return None
        return BROKEN if self._feed.broken else COMPLETE

    def _is_through(self, index: int) -> bool:
        over = self._feed.ended or self._feed.broken
        return over and index >= len(self._feed.messages)

    async def _wait_for(self, index: int) -> None:
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._feed.more_than(index)
        except TimeoutError:
            beat = {"event_type": "heartbeat", "timestamp": iso(datetime.now(UTC))}
            await self._send(json.dumps(beat))

    async def _send(self, message: str) -> None:
        async with asyncio.timeout(self._send_seconds):
            await self._websocket.send_text(message)

    async def _listen(self) -> int | None:
        """Nothing is expected of a watcher; text is ignored, binary ends the stream."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            if message.get("bytes") is not None:
                return UNSUPPORTED

    async def _close(self, code: int) -> None:
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._websocket.close(code)


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


def _admitted(websocket: WebSocket, hub: Hub) -> Caller:
    caller = identify(websocket, websocket.app.state.adapter.settings)
    if Scope.READ not in caller.scopes:
        raise ApiError(403, "FORBIDDEN", f"the token lacks the scope `{Scope.READ}`")
    if hub.watchers >= MOST_WATCHERS:
        raise ApiError(503, "TOO_MANY_WATCHERS", f"{MOST_WATCHERS} streams are open")
    return caller


def _chosen_subprotocol(websocket: WebSocket) -> str | None:
    """A browser that offers subprotocols wants one of them back."""
    offered: list[str] = websocket.scope.get("subprotocols") or []
    plain = [name for name in offered if not name.startswith(SUBPROTOCOL)]
    return next(iter(plain or offered), None)
