"""From what Prefect and the artifact store know to the JSON of the product specification.

Pure functions: no clock, no client, no file. `now` and everything that was read come as arguments.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median

from pydantic import BaseModel, ConfigDict

from api.phases import (
    Phases,
    current_phase,
    next_phase,
    progress_percent,
    project_phases,
    requested,
    wanted,
    with_deployments,
)
from api.runs import TERMINAL, Run, StateType, TaskRun
from api.schemas import BuildJob, BuildSummary, Waiting
from build_executor.comparison import Compatibility
from build_executor.models import BuildRecord, Deployment, RollbackReport
from build_executor.phases import BuildStatus, ErrorState, Phase
from build_executor.spending import BuildCost

STATUS_OF = {
    StateType.SCHEDULED: BuildStatus.QUEUED,
    StateType.PENDING: BuildStatus.QUEUED,
    StateType.RUNNING: BuildStatus.RUNNING,
    StateType.PAUSED: BuildStatus.AWAITING_APPROVAL,
    StateType.CANCELLING: BuildStatus.CANCELLED,
    StateType.CANCELLED: BuildStatus.CANCELLED,
    StateType.COMPLETED: BuildStatus.COMPLETED,
    StateType.FAILED: BuildStatus.FAILED,
    StateType.CRASHED: BuildStatus.FAILED,
}
ACTIVE = tuple(state for state in StateType if state not in TERMINAL)
DEFAULT_SECONDS = 60.0
# Prefect itself fails a pause that is over, before the flow can say under which name.
_UNANSWERED = "and never resumed."
_START_UP = timedelta(seconds=3)
_ERROR_STATE_OF = {
    Phase.CODE_GENERATION: ErrorState.CODE_GENERATION,
    Phase.TEST_GENERATION: ErrorState.CODE_GENERATION,
    Phase.BUILD: ErrorState.BUILD,
    Phase.VERIFICATION: ErrorState.VERIFICATION,
    Phase.DEPLOYMENT: ErrorState.DEPLOYMENT,
    Phase.REGISTRATION: ErrorState.REGISTRATION,
    Phase.HEALTH_CHECK: ErrorState.HEALTH_CHECK,
}


class Evidence(BaseModel):
    """What the artifact store knows of a build."""

    model_config = ConfigDict(frozen=True)

    record: BuildRecord | None = None
    progress: dict[str, int] = {}
    artifacts: tuple[str, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    rollback: RollbackReport | None = None
    compatibility: Compatibility | None = None
    cost: BuildCost | None = None


class Outlook(BaseModel):
    """What is known of the builds around this one."""

    model_config = ConfigDict(frozen=True)

    median_seconds: float = DEFAULT_SECONDS
    queue_position: int = 0
    occupied: int = 0
    slots: int = 3


def status_of(run: Run) -> BuildStatus:
    """The one word for a run's state."""
    return STATUS_OF[run.state.type]


def states_with(status: BuildStatus) -> tuple[StateType, ...]:
    """The states that this word stands for."""
    return tuple(state for state, word in STATUS_OF.items() if word is status)


def service_name(run: Run, evidence: Evidence) -> str:
    """The service a build is for; empty until the SPEC of a build from Prefect's UI was read."""
    recorded = evidence.record.service if evidence.record is not None else None
    return run.service or recorded or ""


def needs_tasks(run: Run) -> bool:
    """Whether a summary of this build takes its task runs."""
    return run.state.type not in {StateType.COMPLETED, StateType.SCHEDULED, StateType.PENDING}


def summarise(
    run: Run, tasks: Sequence[TaskRun], evidence: Evidence, now: datetime
) -> BuildSummary:
    """One line of the list of builds."""
    phases = project_phases(run, tasks, evidence.progress, now)
    if run.state.type is StateType.COMPLETED:
        asked = wanted(requested(run))
        return _summary(run, evidence, [phase for phase in Phase if phase in asked][-1], 100)
    return _summary(run, evidence, current_phase(phases), progress_percent(run, phases))


def project(
    run: Run, tasks: Sequence[TaskRun], evidence: Evidence, outlook: Outlook, now: datetime
) -> BuildJob:
    """Everything about one build."""
    request = requested(run)
    phases = project_phases(run, tasks, evidence.progress, now)
    phases = with_deployments(phases, evidence.deployments)
    reached = current_phase(phases)
    state, reason = error_of(run, reached)
    return BuildJob(
        **dict(_summary(run, evidence, reached, progress_percent(run, phases))),
        spec_path=request.spec_path,
        approval_mode=request.approval_mode,
        phases=phases,
        artifacts=list(evidence.artifacts),
        started_at=run.start_time,
        completed_at=run.end_time if run.state.is_terminal else None,
        estimated_completion=_estimated_completion(run, outlook, now),
        deployment_urls=_live_urls(evidence),
        error=f"{state}: {reason}" if state else reason,
        error_state=state,
        rollback_available=can_roll_back(run, evidence),
        queue_position=outlook.queue_position or None,
        approval=_waiting(run, phases, evidence.compatibility),
        rollback=evidence.rollback.model_dump(mode="json") if evidence.rollback else None,
        cost=evidence.cost.model_dump(mode="json", exclude={"calls"}) if evidence.cost else None,
        metadata=request.metadata,
    )


def error_of(run: Run, reached: Phase) -> tuple[ErrorState | None, str | None]:
    """Why a build failed: the product specification's word for it, and the reason.

    A crash has no word of its own; it gets the one of the phase that it happened in.
    """
    if status_of(run) is not BuildStatus.FAILED:
        return None, None
    reason = run.state.message or run.state.name
    if run.state.name in set(ErrorState):
        return ErrorState(run.state.name), reason
    if reason.endswith(_UNANSWERED):
        return ErrorState.APPROVAL, "nobody answered at the checkpoint in time"
    return _ERROR_STATE_OF.get(reached), reason


def _live_urls(evidence: Evidence) -> dict[str, str]:
    """Where the build's release answers; nowhere any more once it was rolled back."""
    if evidence.rollback is not None and evidence.rollback.rollback_status == "success":
        return {}
    return {one.target: one.url for one in evidence.deployments}


def can_roll_back(run: Run, evidence: Evidence) -> bool:
    """Whether this build replaced a release that can be put back, and nobody has done so yet."""
    replaced = any(one.previous is not None for one in evidence.deployments)
    undone = evidence.rollback is not None and evidence.rollback.rollback_status != "failed"
    return run.state.is_terminal and replaced and not undone


def median_seconds(completed: Sequence[Run]) -> float:
    """How long builds take, without the time in which they wait for people."""
    times = [run.total_run_time for run in completed if run.total_run_time > 0]
    return float(median(times)) if times else DEFAULT_SECONDS


def estimated_start(outlook: Outlook, now: datetime) -> datetime:
    """When a waiting build starts, if builds take as long as they did lately."""
    in_front = max(0, outlook.queue_position - 1)
    rounds = (in_front + min(outlook.occupied, outlook.slots)) // outlook.slots
    return now + _START_UP + timedelta(seconds=rounds * outlook.median_seconds)


def _summary(run: Run, evidence: Evidence, phase: Phase, percent: int) -> BuildSummary:
    return BuildSummary(
        build_id=run.id,
        service_name=service_name(run, evidence),
        status=status_of(run),
        current_phase=phase,
        progress_percent=percent,
        created_at=run.created,
    )


def _estimated_completion(run: Run, outlook: Outlook, now: datetime) -> datetime | None:
    status = status_of(run)
    left = timedelta(seconds=outlook.median_seconds)
    if status is BuildStatus.QUEUED:
        return estimated_start(outlook, now) + left
    if status is BuildStatus.RUNNING:
        done = timedelta(seconds=run.total_run_time)
        return now + max(left - done, _START_UP)
    return None


def _waiting(run: Run, phases: Phases, found: Compatibility | None) -> Waiting | None:
    if run.state.type is not StateType.PAUSED:
        return None
    return Waiting(
        checkpoint=(run.state.details.pause_key or "").replace("-", "_"),
        next_phase=next_phase(phases),
        since=run.state.timestamp,
        expires_at=run.state.details.pause_timeout,
        breaks=[str(change) for change in found.breaking] if found else [],
    )
