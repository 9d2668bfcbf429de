"""What the adapter knows of Prefect's runs: small frozen values, without Prefect's types.

`gateway.py` reads them from Prefect's API and `projection.py` turns them into the product
specification's JSON; whoever changes either of the two only has to know this file.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

SERVICE_TAG = "service:"


def run_id(text: str) -> str | None:
    """The text as Prefect writes the ids of runs; None if it is no UUID."""
    try:
        return str(UUID(text))
    except ValueError:
        return None


class Seen(BaseModel):
    """Read from Prefect's API: frozen, and deaf to fields that a newer Prefect adds."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class StateType(StrEnum):
    """The nine types of state that Prefect knows."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    CANCELLED = "CANCELLED"


TERMINAL = frozenset(
    {StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED}
)


class StateDetails(Seen):
    """The part of a state's details that belongs to a pause."""

    pause_key: str | None = None
    pause_timeout: datetime | None = None


class State(Seen):
    """One state of a run; a failed build's `name` is its error state."""

    type: StateType
    name: str = ""
    message: str | None = None
    timestamp: datetime
    details: StateDetails = Field(default=StateDetails(), alias="state_details")

    @property
    def is_terminal(self) -> bool:
        """Whether the run is over."""
        return self.type in TERMINAL

    def is_under_way_since(self, moment: datetime) -> bool:
        """Whether the run is yet to start, or has been running since that moment at most."""
        if self.type is StateType.RUNNING:
            return self.timestamp > moment
        return not self.is_terminal


class Run(Seen):
    """A flow run."""

    id: str
    deployment_id: str | None = None
    state: State
    created: datetime
    tags: tuple[str, ...] = ()
    parameters: dict[str, Any] = Field(default_factory=dict)
    next_scheduled_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float = Field(default=0, description="seconds in RUNNING, without pauses")

    @property
    def service(self) -> str | None:
        """The service named by the run's tag."""
        tagged = (tag for tag in self.tags if tag.startswith(SERVICE_TAG))
        return next((tag.removeprefix(SERVICE_TAG) for tag in tagged), None)


class TaskRun(Seen):
    """A task run; its name begins with the phase's value."""

    flow_run_id: str
    name: str
    state: State | None = None
    expected_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    run_count: int = 0


class LogLine(Seen):
    """One line of a run's log."""

    id: str
    name: str
    level: int
    message: str
    timestamp: datetime


class Resumption(StrEnum):
    """What Prefect said to an answer at a checkpoint."""

    ACCEPTED = "accepted"
    NOT_PAUSED = "not_paused"
    INVALID = "invalid"


class RunFilter(Seen):
    """Which runs of the build deployment are meant; empty means all."""

    types: tuple[StateType, ...] = ()
    service: str | None = None
    ended_after: datetime | None = None


class Page(Seen):
    """Which part of a result is wanted."""

    limit: int = 50
    offset: int = 0
    sort: str = "EXPECTED_START_TIME_DESC"
