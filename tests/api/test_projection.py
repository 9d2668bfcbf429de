from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.phases import WEIGHTS, project_phases
from api.projection import (
    Evidence,
    Outlook,
    error_of,
    estimated_start,
    median_seconds,
    project,
    states_with,
    status_of,
    summarise,
)
from api.runs import Run, State, StateType, TaskRun
from api.schemas import BuildJob
from build_executor.models import Availability, Deployment, RollbackReport
from build_executor.phases import BuildStatus, ErrorState, Phase, PhaseState
from build_executor.spending import BuildCost, Call

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CREATED = NOW - timedelta(seconds=100)
PHASES = list(Phase)[1:]
ONE_TASK = {phase: f"{phase.value}: attempt 1" for phase in PHASES}


def state(kind: StateType, name: str = "", message: str | None = None, **details: str) -> State:
    return State(type=kind, name=name, message=message, timestamp=NOW, state_details=details)


def run(kind: StateType, name: str = "", message: str | None = None, **fields: Any) -> Run:  # noqa: ANN401 - any of its fields
    started = {} if kind in {StateType.SCHEDULED, StateType.PENDING} else {"start_time": CREATED}
    known = {"created": CREATED, "tags": ("service:notes",), **started, **fields}
    request = {"spec_path": "SPEC.md", **known.pop("request", {})}
    return Run(id="b", state=state(kind, name, message), parameters={"request": request}, **known)


def task(name: str, kind: StateType, second: int = 0, **fields: Any) -> TaskRun:  # noqa: ANN401 - any of its fields
    start = CREATED + timedelta(seconds=second)
    known = {"start_time": start, "end_time": start + timedelta(seconds=5), "run_count": 1}
    return TaskRun(flow_run_id="b", name=name, state=state(kind), **{**known, **fields})


def job(
    of: Run, *tasks: TaskRun, evidence: Evidence | None = None, outlook: Outlook | None = None
) -> BuildJob:
    return project(of, tasks, evidence or Evidence(), outlook or Outlook(), NOW)


@pytest.mark.parametrize("kind", StateType)
def test_every_state_of_prefect_has_exactly_one_status(kind: StateType) -> None:
    words = [status for status in BuildStatus if kind in states_with(status)]

    assert words == [status_of(run(kind))]


@given(
    kind=st.sampled_from(StateType),
    name=st.sampled_from(["", "Crashed", *ErrorState]),
    done=st.integers(0, len(PHASES)),
    last=st.sampled_from(StateType),
    percents=st.dictionaries(st.sampled_from([*Phase, "x"]), st.integers(-5, 500)),
)
def test_whatever_prefect_says_is_a_status_with_all_phases_in_order(
    kind: StateType, name: str, done: int, last: StateType, percents: dict[str, int]
) -> None:
    tasks = [task(ONE_TASK[phase], StateType.COMPLETED, i) for i, phase in enumerate(PHASES[:done])]
    tasks += [task(ONE_TASK[phase], last, 50) for phase in PHASES[done : done + 1]]

    built = job(run(kind, name), *tasks, evidence=Evidence(progress=percents))

    assert list(built.phases) == list(Phase)
    assert 0 <= built.progress_percent <= 100
    assert all(0 <= phase.progress <= 100 for phase in built.phases.values())
    assert (built.error is not None) == (built.status is BuildStatus.FAILED)
    assert built.current_phase in Phase
    BuildJob.model_validate_json(built.model_dump_json())


@given(percent=st.integers(0, 100))
def test_progress_never_falls_from_phase_to_phase(percent: int) -> None:
    shown = [0]
    for done in range(len(PHASES)):
        before = [task(ONE_TASK[p], StateType.COMPLETED, i) for i, p in enumerate(PHASES[:done])]
        now = task(ONE_TASK[PHASES[done]], StateType.RUNNING, 50)
        for reached in sorted({0, percent}):
            evidence = Evidence(progress={PHASES[done]: reached})
            shown.append(
                job(run(StateType.RUNNING), *before, now, evidence=evidence).progress_percent
            )

    assert shown == sorted(shown)
    assert sum(WEIGHTS.values()) == 100


def test_a_build_that_waits_in_the_queue_shows_its_place_and_when_it_starts() -> None:
    outlook = Outlook(queue_position=2, occupied=3, slots=3, median_seconds=20)

    built = job(run(StateType.SCHEDULED), outlook=outlook)

    assert built.status is BuildStatus.QUEUED
    assert built.current_phase is Phase.QUEUED
    assert built.phases[Phase.QUEUED].status is PhaseState.RUNNING
    assert built.queue_position == 2
    assert built.estimated_completion == NOW + timedelta(seconds=3 + 20 + 20)


def test_a_running_phase_shows_the_progress_that_the_build_reported() -> None:
    evidence = Evidence(progress={"code_generation": 35})

    built = job(
        run(StateType.RUNNING),
        task("code_generation: attempt 1", StateType.RUNNING),
        evidence=evidence,
    )

    assert built.current_phase is Phase.CODE_GENERATION
    assert built.phases[Phase.CODE_GENERATION].progress == 35
    assert built.phases[Phase.TEST_GENERATION].status is PhaseState.PENDING


@pytest.mark.parametrize("part", ["contract", "holes", "holes, attempt 2", "outcome"])
def test_code_generation_is_not_over_before_the_code_is_written(part: str) -> None:
    prepared = task(f"code_generation: {part}", StateType.COMPLETED)

    built = job(run(StateType.RUNNING), prepared)

    assert built.phases[Phase.CODE_GENERATION].status is PhaseState.RUNNING


def test_attempts_of_a_phase_are_retries() -> None:
    first = task("build: attempt 1", StateType.FAILED, 1)
    second = task("build: attempt 2", StateType.RUNNING, 2, end_time=None)

    built = job(run(StateType.RUNNING), second, first)

    assert built.phases[Phase.BUILD].status is PhaseState.RUNNING
    assert built.phases[Phase.BUILD].retry_count == 1
    assert built.phases[Phase.BUILD].started_at == CREATED + timedelta(seconds=1)


def test_two_targets_are_no_retry() -> None:
    both = [
        task("deployment: local", StateType.COMPLETED, 1),
        task("deployment: production", StateType.COMPLETED, 2, run_count=3),
    ]

    built = job(run(StateType.RUNNING), *both)

    assert built.phases[Phase.DEPLOYMENT].status is PhaseState.COMPLETED
    assert built.phases[Phase.DEPLOYMENT].retry_count == 2


def test_a_phase_that_nobody_asked_for_is_skipped() -> None:
    built = job(run(StateType.RUNNING, request={"auto_register": False}))

    assert built.phases[Phase.REGISTRATION].status is PhaseState.SKIPPED
    assert built.phases[Phase.HEALTH_CHECK].status is PhaseState.PENDING


def test_a_build_without_a_target_ends_with_verification() -> None:
    request = {"deploy_local": False}
    tasks = [task(ONE_TASK[phase], StateType.COMPLETED) for phase in PHASES[:4]]

    built = job(run(StateType.COMPLETED, request=request, end_time=NOW), *tasks)

    assert built.progress_percent == 100
    assert built.current_phase is Phase.VERIFICATION
    assert summarise(run(StateType.COMPLETED, request=request), [], Evidence(), NOW) == (
        summarise(run(StateType.COMPLETED, request=request), tasks, Evidence(), NOW)
    )


def test_a_failed_build_names_its_error_state_and_the_phase() -> None:
    failed = run(StateType.FAILED, "failed_build", "pytest: 2 failed", end_time=NOW)

    built = job(
        failed,
        task("code_generation: attempt 1", StateType.COMPLETED, 1),
        task("test_generation: attempt 1", StateType.COMPLETED, 2),
        task("build: attempt 1", StateType.FAILED, 3),
    )

    assert built.error == "failed_build: pytest: 2 failed"
    assert built.error_state == "failed_build"
    assert built.current_phase is Phase.BUILD
    assert built.phases[Phase.BUILD].status is PhaseState.FAILED
    assert built.phases[Phase.DEPLOYMENT].status is PhaseState.SKIPPED
    assert built.completed_at == NOW


def test_a_pause_that_prefect_ended_is_an_approval_that_nobody_gave() -> None:
    ended = run(StateType.FAILED, "Failed", "The flow was paused and never resumed.")

    state, reason = error_of(ended, Phase.VERIFICATION)

    assert state is ErrorState.APPROVAL
    assert reason == "nobody answered at the checkpoint in time"


def test_a_killed_build_fails_in_the_phase_that_prefect_still_calls_running() -> None:
    crashed = run(StateType.CRASHED, "Crashed", "the build's process is gone")

    built = job(crashed, task("deployment: local", StateType.RUNNING, end_time=None))

    assert built.phases[Phase.DEPLOYMENT].status is PhaseState.FAILED
    assert built.phases[Phase.DEPLOYMENT].error == "the build's process is gone"
    assert built.error_state == "failed_deployment"


def test_the_error_state_decides_which_phase_failed() -> None:
    failed = run(StateType.FAILED, "failed_code_generation", "the tests are wrong")

    built = job(
        failed,
        task("code_generation: attempt 1", StateType.COMPLETED, 1),
        task("test_generation: attempt 1", StateType.COMPLETED, 2),
    )

    assert built.phases[Phase.CODE_GENERATION].status is PhaseState.COMPLETED
    assert built.phases[Phase.TEST_GENERATION].status is PhaseState.FAILED


def test_a_build_cancelled_in_the_queue_never_began() -> None:
    built = job(run(StateType.CANCELLED, "Cancelled", start_time=None))

    assert built.phases[Phase.QUEUED].status is PhaseState.FAILED
    assert {built.phases[phase].status for phase in PHASES} == {PhaseState.SKIPPED}


def test_a_waiting_build_names_the_checkpoint_and_what_follows_it() -> None:
    paused = run(StateType.PAUSED).model_copy(
        update={"state": state(StateType.PAUSED, "Paused", pause_key="after-generation")}
    )
    tasks = [task(ONE_TASK[phase], StateType.COMPLETED, i) for i, phase in enumerate(PHASES[:2])]

    built = job(paused, *tasks)

    assert built.status is BuildStatus.AWAITING_APPROVAL
    assert built.approval is not None
    assert built.approval.checkpoint == "after_generation"
    assert built.approval.next_phase is Phase.BUILD
    assert built.estimated_completion is None


def test_a_roll_back_is_on_offer_until_it_was_done() -> None:
    deployment = Deployment(
        target="local", service="n", release_id="2-a", build_id="b", url="http://x", previous="1-a"
    )
    report = RollbackReport(
        rollback_status="success", previous_version_restored=True, service_health="active"
    )
    over, live = run(StateType.COMPLETED), Evidence(deployments=(deployment,))

    assert job(over, evidence=live).rollback_available
    assert job(over, evidence=live).deployment_urls == {"local": "http://x"}
    assert not job(run(StateType.RUNNING), evidence=live).rollback_available
    assert not job(over, evidence=live.model_copy(update={"rollback": report})).rollback_available


def test_a_request_that_is_no_request_is_shown_all_the_same() -> None:
    broken = run(StateType.FAILED).model_copy(update={"parameters": {"request": {"spec_path": 7}}})

    assert job(broken).spec_path == "7"
    assert job(broken.model_copy(update={"parameters": {}})).spec_path == "unknown"


def test_roll_backs_and_reports_are_no_phases() -> None:
    tasks = [task("roll_back", StateType.RUNNING), task("report: checks", StateType.RUNNING)]

    phases = project_phases(run(StateType.RUNNING), tasks, {}, NOW)

    assert {phases[phase].status for phase in PHASES} == {PhaseState.PENDING}


@pytest.mark.parametrize(
    ("position", "occupied", "rounds"), [(1, 0, 0), (1, 2, 0), (1, 3, 1), (3, 3, 1), (4, 3, 2)]
)
def test_a_build_starts_when_enough_others_have_ended(
    position: int, occupied: int, rounds: int
) -> None:
    outlook = Outlook(queue_position=position, occupied=occupied, median_seconds=100)

    assert estimated_start(outlook, NOW) == NOW + timedelta(seconds=3 + 100 * rounds)


def test_the_median_leaves_out_waiting_for_people() -> None:
    runs = [run(StateType.COMPLETED, total_run_time=seconds) for seconds in (0, 10, 20, 90)]

    assert median_seconds(runs) == 20
    assert median_seconds([]) == 60


def test_a_build_that_asked_a_model_says_what_it_cost() -> None:
    call = Call(id="c", build_id="b", attempt=1, model="m", at=NOW, counted_dollars=0.5)
    cost = BuildCost.of([call.model_copy(update={"dollars": 0.08, "counted_dollars": 0.08})], 2)

    said = job(run(StateType.RUNNING), evidence=Evidence(cost=cost)).cost

    assert said is not None
    assert (said["dollars"], said["ceiling_dollars"], "calls" in said) == (0.08, 2, False)
    assert job(run(StateType.RUNNING)).cost is None


def test_the_deployment_says_what_its_users_met() -> None:
    met = Availability(requests=900, failed=0, longest_gap_ms=21.5, p99_ms=9.8)
    live = Deployment(
        target="local",
        service="notes",
        release_id="2-b",
        build_id="b",
        url="http://127.0.0.1:1",
        previous="1-a",
        availability=met,
    )

    built = job(run(StateType.COMPLETED), evidence=Evidence(deployments=(live,)))

    details = built.phases[Phase.DEPLOYMENT].model_dump()["details"]
    assert [one["previous"] for one in details["deployments"]] == ["1-a"]
    assert [one["availability"] for one in details["deployments"]] == [met.model_dump()]
