"""The JSON of the product specification's endpoints, field by field, and the additions to it.

Additions are marked as such; none of the specified fields is renamed or left out.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer

from build_executor.models import RollbackProof
from build_executor.phases import ApprovalMode, BuildStatus, Phase, PhaseState

SERVICE = "build-executor"
VERSION = "1.0.0"


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with `Z`, as the product specification writes times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(iso, return_type=str, when_used="json")]


class Answer(BaseModel):
    """A JSON answer."""

    model_config = ConfigDict(frozen=True)


class PhaseStatus(Answer):
    """The specification's PhaseStatus."""

    status: PhaseState
    started_at: Moment | None = None
    completed_at: Moment | None = None
    duration_seconds: int | None = None
    progress: int = 0
    details: dict[str, JsonValue] = Field(default_factory=dict)
    error: str | None = None
    retry_count: int = 0


class Waiting(Answer):
    """Addition: the checkpoint at which a build waits."""

    checkpoint: str
    next_phase: Phase | None
    since: Moment
    expires_at: Moment | None
    breaks: list[str] = Field(description="what callers of the live version cannot rely on then")


class BuildSummary(Answer):
    """One build in the list."""

    build_id: str
    service_name: str
    status: BuildStatus
    current_phase: Phase
    progress_percent: int
    created_at: Moment


class BuildJob(BuildSummary):
    """The specification's BuildJob: everything about one build."""

    spec_path: str
    approval_mode: ApprovalMode
    phases: dict[Phase, PhaseStatus]
    artifacts: list[str]
    started_at: Moment | None
    completed_at: Moment | None
    estimated_completion: Moment | None
    deployment_urls: dict[str, str]
    error: str | None = Field(description='such as "failed_build: pytest: 2 failed"')
    rollback_available: bool
    error_state: str | None = Field(description="addition: the first word of `error`")
    queue_position: int | None = Field(description="addition: while queued, 1 is next")
    approval: Waiting | None = Field(description="addition: while awaiting approval")
    rollback: dict[str, JsonValue] | None = Field(description="addition: what a roll-back did")
    cost: dict[str, JsonValue] | None = Field(
        description="addition: of the language model, in all and an attempt; null: none was asked"
    )
    metadata: dict[str, JsonValue] = Field(description="addition: as submitted")


class Submitted(Answer):
    """The answer to a submission."""

    build_id: str
    status: BuildStatus
    queue_position: int
    estimated_start: Moment | None
    status_url: str
    stream_url: str
    service_name: str = Field(description="addition")


class BuildList(Answer):
    """Builds, newest first; the counts are of all builds of the service asked for, or of all."""

    builds: list[BuildSummary]
    total: int
    queued: int
    running: int
    completed: int
    failed: int
    awaiting_approval: int = Field(description="addition")
    cancelled: int = Field(description="addition")


class ApprovalRequest(BaseModel):
    """The answer of a person at a checkpoint."""

    model_config = ConfigDict(extra="forbid", strict=True)

    approved: bool
    notes: Annotated[str, Field(max_length=2000)] = ""


class ApprovalAnswer(Answer):
    """What was recorded, and what comes next."""

    build_id: str
    status: BuildStatus
    next_phase: Phase | None
    approval_recorded: Moment
    approved: bool = Field(description="addition")


class CancelRequest(BaseModel):
    """Why a build is cancelled; the whole body may be left out."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[str, Field(min_length=1, max_length=2000)] = "User requested"


class Cancelled(Answer):
    """The answer to a cancellation."""

    build_id: str
    status: BuildStatus
    cancelled_at: Moment
    cancellation_reason: str


class RolledBack(Answer):
    """What a roll-back did and found."""

    build_id: str
    rollback_status: str
    previous_version_restored: bool
    service_health: str
    live_release: str | None = Field(default=None, description="addition")
    detail: str = Field(default="", description="addition")
    proof: RollbackProof | None = Field(
        default=None, description="addition: what was read at the public address afterwards"
    )
    lost: tuple[str, ...] = Field(
        default=(), description="addition: what callers of the undone version lose"
    )


class MessageType(StrEnum):
    """The kinds of message between droplets; `data` is an older word that some still send."""

    STATUS = "status"
    EVENT = "event"
    COMMAND = "command"
    QUERY = "query"
    DATA = "data"


class Message(BaseModel):
    """A message from another droplet, in the majority's form."""

    model_config = ConfigDict(extra="ignore")

    trace_id: Annotated[str, Field(min_length=1, max_length=128)]
    source: Annotated[str, Field(min_length=1, max_length=128)]
    target: Annotated[str, Field(max_length=128)] = SERVICE
    message_type: MessageType
    payload: dict[str, JsonValue]
    timestamp: datetime
    signature: Annotated[str, Field(max_length=1024)] | None = None


class MessageAnswer(Answer):
    """The acknowledgment that all dialects understand; the rest depends on the action."""

    model_config = ConfigDict(frozen=True, extra="allow")

    received: bool = True
    trace_id: str
    message_id: str
    processed_at: Moment
    result: str


class SendRequest(BaseModel):
    """A message to another droplet, delivered by the registry."""

    model_config = ConfigDict(extra="ignore")

    target: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    message_type: MessageType
    payload: dict[str, JsonValue]
    priority: Annotated[str, Field(pattern="^(high|normal|low)$")] = "normal"
    retry_count: Annotated[int, Field(ge=0, le=10)] = 3


class SendAnswer(Answer):
    """Whether the registry delivered the message."""

    sent: bool
    trace_id: str
    target: str
    timestamp: Moment
    result: str
    detail: str = ""


class ErrorDetail(Answer):
    """What went wrong: `code` for programs, `message` for people."""

    code: str
    message: str
    details: dict[str, JsonValue]


class ErrorAnswer(Answer):
    """Every answer that is not 2xx."""

    status: Literal["error"] = "error"
    error: ErrorDetail
