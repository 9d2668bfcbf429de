from datetime import UTC, datetime, timedelta

import pytest

from api.runs import Run, State, StateType
from api.unfinished import build_of, is_due
from build_executor.models import RollbackReport

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DONE = RollbackReport(
    rollback_status="success", previous_version_restored=True, service_health="active"
)
FAILED = DONE.model_copy(update={"rollback_status": "failed"})


def roll_back(kind: StateType, minutes_ago: float) -> Run:
    moment = NOW - timedelta(minutes=minutes_ago)
    state = State(type=kind, timestamp=moment)
    return Run(id="r", state=state, created=moment, parameters={"build_id": "b"})


def due(*roll_backs: Run, report: RollbackReport | None = None, minutes: float = 300) -> bool:
    return is_due(roll_backs, report, NOW - timedelta(minutes=minutes), NOW)


@pytest.mark.parametrize("kind", [StateType.CRASHED, StateType.FAILED])
def test_a_roll_back_that_was_killed_is_repeated(kind: StateType) -> None:
    assert due(roll_back(kind, 5))
    assert due(roll_back(kind, 5), report=DONE)


def test_a_roll_back_that_could_not_finish_is_repeated() -> None:
    assert due(roll_back(StateType.COMPLETED, 5), report=FAILED)
    assert due(report=FAILED)


def test_what_is_done_or_was_never_asked_for_is_left_alone() -> None:
    assert not due(roll_back(StateType.COMPLETED, 5), report=DONE)
    assert not due(roll_back(StateType.CANCELLED, 5))
    assert not due(report=DONE)
    assert not due()


def test_one_that_works_is_waited_for_but_not_for_ever() -> None:
    assert not due(roll_back(StateType.SCHEDULED, 60), report=FAILED)
    assert not due(roll_back(StateType.RUNNING, 9), report=FAILED)
    assert due(roll_back(StateType.RUNNING, 11))


def test_the_wait_grows_with_every_attempt() -> None:
    crashed = StateType.CRASHED

    assert not due(roll_back(crashed, 1))
    assert not due(roll_back(crashed, 3), roll_back(crashed, 9))
    assert due(roll_back(crashed, 5), roll_back(crashed, 9))
    assert not due(*[roll_back(crashed, 59)] * 50)
    assert due(*[roll_back(crashed, 61)] * 50)
    assert not due(report=FAILED, minutes=0.5)


def test_a_roll_back_names_its_build() -> None:
    assert build_of(roll_back(StateType.RUNNING, 1)) == "b"
