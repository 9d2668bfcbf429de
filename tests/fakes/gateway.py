"""One build in memory, with a log that grows, for tests of the stream."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from api.runs import LogLine, Run, State, StateType, TaskRun, run_id
from build_executor.events import EVENTS_LOGGER

FLOW_LOGGER = "prefect.flow_runs"


class OneBuild:
    """A gateway that knows a single build; tests write its log and end it."""

    def __init__(self) -> None:
        self.id = str(uuid4())
        self.created = datetime.now(UTC)
        self._lines: list[LogLine] = []
        self._state = self._in(StateType.RUNNING)

    def say(self, text: str, logger: str = EVENTS_LOGGER, seconds_ago: float = 0) -> str:
        """Add a line to the log; its id."""
        moment = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        line = LogLine(id=str(uuid4()), name=logger, level=20, message=text, timestamp=moment)
        self._lines.append(line)
        return line.id

    def end(self, kind: StateType = StateType.COMPLETED, name: str = "", message: str = "") -> None:
        """Bring the build to an end, with the last words that Prefect's engine has."""
        self._state = self._in(kind, name, message)
        self.say("Finished in state Completed()", FLOW_LOGGER)

    async def read(self, any_id: str) -> Run | None:
        if run_id(any_id) != self.id:
            return None
        return Run(id=self.id, state=self._state, created=self.created, start_time=self.created)

    async def read_build(self, build_id: str) -> Run | None:
        return await self.read(build_id)

    async def logs(self, flow_run_id: str, after: datetime | None) -> list[LogLine]:
        mine = self._lines if flow_run_id == self.id else []
        wanted = [line for line in mine if after is None or line.timestamp >= after]
        return sorted(wanted, key=lambda line: line.timestamp)

    async def task_runs(self, run_ids: list[str]) -> list[TaskRun]:
        assert run_ids == [self.id]
        return []

    def _in(self, kind: StateType, name: str = "", message: str = "") -> State:
        return State(type=kind, name=name, message=message, timestamp=datetime.now(UTC))
