import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import BaseModel

from api.phases import project_phases
from api.runs import Run, State, StateType
from api.schemas import (
    ApprovalAnswer,
    ApprovalRequest,
    BuildJob,
    BuildList,
    Cancelled,
    Message,
    PhaseStatus,
    RolledBack,
    Submitted,
    iso,
)
from build_executor.models import BuildRequest
from tests.fixtures.shapes import EXAMPLES

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("endpoint", "number", "model"),
    [
        ("POST /builds/submit", 0, BuildRequest),
        ("POST /builds/submit", 1, Submitted),
        ("GET /builds/{build_id}/status", 0, BuildJob),
        ("GET /builds", 0, BuildList),
        ("POST /builds/{build_id}/approve", 0, ApprovalRequest),
        ("POST /builds/{build_id}/approve", 1, ApprovalAnswer),
        ("POST /builds/{build_id}/cancel", 0, Cancelled),
        ("POST /builds/{build_id}/rollback", 0, RolledBack),
        ("POST /message", 0, Message),
    ],
)
def test_every_field_of_the_specifications_examples_has_its_place(
    endpoint: str, number: int, model: type[BaseModel]
) -> None:
    assert set(EXAMPLES[endpoint][number]) <= set(model.model_fields)


def test_the_specifications_requests_are_accepted_as_they_stand() -> None:
    BuildRequest.model_validate(EXAMPLES["POST /builds/submit"][0])
    ApprovalRequest.model_validate(EXAMPLES["POST /builds/{build_id}/approve"][0])
    Message.model_validate(EXAMPLES["POST /message"][0])


def test_the_phases_have_the_specifications_names_and_order() -> None:
    queued = Run(id="b", created=NOW, state=State(type=StateType.SCHEDULED, timestamp=NOW))

    shown = project_phases(queued, [], {}, NOW)

    assert [str(phase) for phase in shown] == list(
        EXAMPLES["GET /builds/{build_id}/status"][0]["phases"]
    )


def test_a_phase_says_all_that_the_specification_lists() -> None:
    fields = json.loads(PhaseStatus(status="running").model_dump_json())

    assert list(fields) == [
        "status",
        "started_at",
        "completed_at",
        "duration_seconds",
        "progress",
        "details",
        "error",
        "retry_count",
    ]


def test_times_are_written_in_utc_with_a_z() -> None:
    in_berlin = datetime(2026, 1, 2, 1, 0, tzinfo=timezone(timedelta(hours=1)))

    assert iso(in_berlin) == "2026-01-02T00:00:00.000Z"
