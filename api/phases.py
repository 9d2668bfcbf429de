"""The eight phases of a build as its status shows them, from the run and its task runs.

Pure. A task run's name begins with its phase (`deployment: local`, `build: attempt 2`); a phase
may consist of several. The task runs of a killed build stay Running in Prefect for ever, so what
the run itself has come to is asked first.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue, ValidationError

from api.runs import TERMINAL, Run, State, StateType, TaskRun
from api.schemas import PhaseStatus
from build_executor.models import BuildRequest, Deployment
from build_executor.phases import ErrorState, Phase, PhaseState

WEIGHTS = {
    Phase.QUEUED: 0,
    Phase.CODE_GENERATION: 30,
    Phase.TEST_GENERATION: 10,
    Phase.BUILD: 25,
    Phase.VERIFICATION: 15,
    Phase.DEPLOYMENT: 10,
    Phase.REGISTRATION: 3,
    Phase.HEALTH_CHECK: 7,
}
_FAILED = frozenset({StateType.FAILED, StateType.CRASHED, StateType.CANCELLED})
_ATTEMPT = re.compile(r"attempt (\d+)")
# What comes before the code itself (contract, holes, outcome); the phase always goes on after it.
_PREPARATION = re.compile(r"code_generation: (?!attempt)")
_PHASES_OF = {
    ErrorState.CODE_GENERATION: (Phase.CODE_GENERATION, Phase.TEST_GENERATION),
    ErrorState.BUILD: (Phase.BUILD,),
    ErrorState.VERIFICATION: (Phase.VERIFICATION,),
    ErrorState.DEPLOYMENT: (Phase.DEPLOYMENT,),
    ErrorState.REGISTRATION: (Phase.REGISTRATION,),
    ErrorState.HEALTH_CHECK: (Phase.HEALTH_CHECK,),
    ErrorState.APPROVAL: (),
}

Phases = dict[Phase, PhaseStatus]


def requested(run: Run) -> BuildRequest:
    """What was asked for; a request that only Prefect's UI could have made is read leniently."""
    given = run.parameters.get("request")
    try:
        return BuildRequest.model_validate(given)
    except ValidationError:
        path = given.get("spec_path") if isinstance(given, dict) else None
        return BuildRequest(spec_path=str(path or "unknown")[:1024])


def wanted(request: BuildRequest) -> frozenset[Phase]:
    """The phases that this request asks for."""
    deploys = request.deploy_local or request.deploy_production
    left_out = set() if deploys else {Phase.DEPLOYMENT, Phase.REGISTRATION, Phase.HEALTH_CHECK}
    if not request.auto_register:
        left_out.add(Phase.REGISTRATION)
    return frozenset(set(Phase) - left_out)


def phase_of(task: TaskRun) -> Phase | None:
    """The phase a task run belongs to; None for a roll-back, a report, and the like."""
    first = re.match(r"[a-z_]+", task.name)
    name = first.group() if first else ""
    return Phase(name) if name in set(Phase) else None


def project_phases(
    run: Run, tasks: Sequence[TaskRun], progress: Mapping[str, int], now: datetime
) -> Phases:
    """All eight phases, always, in the order in which they happen."""
    asked = wanted(requested(run))
    by_phase: dict[Phase | None, list[TaskRun]] = {}
    for task in sorted(tasks, key=_began):
        by_phase.setdefault(phase_of(task), []).append(task)
    view = _View(run, progress, now)
    phases = {Phase.QUEUED: _queued(run, now)}
    for phase in list(Phase)[1:]:
        mine = by_phase.get(phase, [])
        phases[phase] = (
            view.begun(phase, mine) if mine else _untouched(run, is_asked=phase in asked)
        )
    return _with_the_failure(run, phases)


def with_deployments(phases: Phases, deployments: Sequence[Deployment]) -> Phases:
    """The same, with what each deployment replaced and what its users met meanwhile."""
    if not deployments:
        return phases
    phase = phases[Phase.DEPLOYMENT]
    details = {**phase.details, "deployments": [one.model_dump(mode="json") for one in deployments]}
    return {**phases, Phase.DEPLOYMENT: phase.model_copy(update={"details": details})}


def current_phase(phases: Phases) -> Phase:
    """The last phase that has begun."""
    idle = {PhaseState.PENDING, PhaseState.SKIPPED}
    return [phase for phase, status in phases.items() if status.status not in idle][-1]


def next_phase(phases: Phases) -> Phase | None:
    """The first phase that is still to come."""
    pending = (phase for phase, status in phases.items() if status.status is PhaseState.PENDING)
    return next(pending, None)


def progress_percent(run: Run, phases: Phases) -> int:
    """How far the build is, of 0 to 100; 100 only when it is complete."""
    if run.state.type is StateType.COMPLETED:
        return 100
    counted = wanted(requested(run))
    total = sum(WEIGHTS[phase] for phase in counted)
    done = sum(WEIGHTS[phase] * phases[phase].progress for phase in counted)
    return min(done // total, 99)


class _View:
    def __init__(self, run: Run, progress: Mapping[str, int], now: datetime) -> None:
        self._run, self._progress, self._now = run, progress, now

    def begun(self, phase: Phase, tasks: Sequence[TaskRun]) -> PhaseStatus:
        status = self._state(tasks[-1])
        over = status is not PhaseState.RUNNING
        started, ended = _start(tasks), self._end(tasks) if over else None
        return PhaseStatus(
            status=status,
            started_at=started,
            completed_at=ended,
            duration_seconds=_seconds(started, ended or self._now),
            progress=100 if status is PhaseState.COMPLETED else self._reported(phase),
            details=_details(tasks),
            error=self._error(tasks[-1]) if status is PhaseState.FAILED else None,
            retry_count=_retries(tasks),
        )

    def _reported(self, phase: Phase) -> int:
        return max(0, min(99, self._progress.get(phase, 0)))

    def _state(self, last: TaskRun) -> PhaseState:
        succeeded = _is(last, frozenset({StateType.COMPLETED}))
        prepared_only = _PREPARATION.match(last.name) is not None
        if self._run.state.type is StateType.COMPLETED:
            return PhaseState.COMPLETED
        if self._run.state.type in _FAILED:
            return PhaseState.COMPLETED if succeeded and not prepared_only else PhaseState.FAILED
        if succeeded and not prepared_only:
            return PhaseState.COMPLETED
        return PhaseState.RUNNING  # a failed attempt, while the build goes on, is followed by one

    def _end(self, tasks: Sequence[TaskRun]) -> datetime | None:
        ends = [task.end_time for task in tasks if task.end_time is not None]
        return max(ends, default=self._run.end_time or self._run.state.timestamp)

    def _error(self, last: TaskRun) -> str | None:
        if last.state is not None and last.state.type in _FAILED:
            return last.state.message
        return _why(self._run.state)


def _queued(run: Run, now: datetime) -> PhaseStatus:
    started, over = run.start_time, run.state.type in TERMINAL
    ended = started or (run.end_time or run.state.timestamp if over else None)
    status = PhaseState.RUNNING
    if ended is not None:
        status = PhaseState.COMPLETED if started else PhaseState.FAILED
    return PhaseStatus(
        status=status,
        started_at=run.created,
        completed_at=ended,
        duration_seconds=_seconds(run.created, ended or now),
        progress=100 if status is PhaseState.COMPLETED else 0,
        error=_why(run.state) if status is PhaseState.FAILED else None,
    )


def _untouched(run: Run, *, is_asked: bool) -> PhaseStatus:
    to_come = is_asked and run.state.type not in TERMINAL
    return PhaseStatus(status=PhaseState.PENDING if to_come else PhaseState.SKIPPED)


def _with_the_failure(run: Run, phases: Phases) -> Phases:
    """The phase that the run's error state names is the one that failed, whatever its tasks say."""
    if run.state.type is not StateType.FAILED or run.state.name not in set(ErrorState):
        return phases
    suspects = [p for p in _PHASES_OF[ErrorState(run.state.name)] if phases[p].started_at]
    if not suspects or any(phases[p].status is PhaseState.FAILED for p in suspects):
        return phases
    failed = phases[suspects[-1]].model_copy(
        update={"status": PhaseState.FAILED, "error": run.state.message}
    )
    return {**phases, suspects[-1]: failed}


def _why(state: State) -> str:
    return state.message or state.name or state.type.lower()


def _is(task: TaskRun, types: frozenset[StateType]) -> bool:
    return task.state is not None and task.state.type in types


def _began(task: TaskRun) -> float:
    moment = task.start_time or task.expected_start_time
    return moment.timestamp() if moment is not None else float("inf")


def _start(tasks: Sequence[TaskRun]) -> datetime | None:
    return tasks[0].start_time or tasks[0].expected_start_time


def _seconds(start: datetime | None, end: datetime | None) -> int | None:
    if start is None or end is None:
        return None
    return max(0, round((end - start).total_seconds()))


def _retries(tasks: Sequence[TaskRun]) -> int:
    attempts = [int(found[1]) for task in tasks if (found := _ATTEMPT.search(task.name))]
    by_prefect = sum(max(0, task.run_count - 1) for task in tasks)
    return max(attempts, default=1) - 1 + by_prefect


def _details(tasks: Sequence[TaskRun]) -> dict[str, JsonValue]:
    return {
        "tasks": [
            {"name": task.name, "state": task.state.type.lower() if task.state else "pending"}
            for task in tasks
        ]
    }
