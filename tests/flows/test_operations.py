"""What operators find in Prefect's UI, read back from a real Prefect server."""

import json

import httpx
import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL

from build_executor.deployment import Rollout
from build_executor.models import Availability, Deployment, RollbackReport
from build_executor.rollback import NOTHING_TO_UNDO
from tasks.operations import publish_deployment, publish_rollback

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("settings")]

MET = Availability(requests=90, failed=0, longest_gap_ms=20.5, p99_ms=9.1)
DEPLOYMENT = Deployment(
    target="local",
    service="shown",
    release_id="2-b",
    build_id="a-build",
    url="http://127.0.0.1:8350",
    previous="1-a",
    availability=MET,
)
REPORT = RollbackReport(
    rollback_status="failed",
    previous_version_restored=False,
    service_health="error",
    service="shown",
    detail="no other proven release answers: 2-b stays live",
)


def shown(key: str) -> str:
    answer = httpx.get(f"{PREFECT_API_URL.value()}/artifacts/{key}/latest", timeout=30)
    return str(answer.raise_for_status().json()["data"])


def test_a_deployment_has_a_line_for_each_host() -> None:
    @flow
    def publishes() -> None:
        rollout = Rollout(guard_seconds=10, canary_steps=(10, 50))
        elsewhere = DEPLOYMENT.model_copy(update={"target": "production", "availability": None})
        publish_deployment([DEPLOYMENT, elsewhere], rollout)

    publishes()

    first, second = json.loads(shown("deployment-shown"))
    assert (first["before"], first["after"], first["failed"]) == ("1-a", "2-b", 0)
    assert (first["canary"], first["guarded, s"]) == ("10 %, 50 %", 10)
    assert (second["host"], second["failed"]) == ("production", None)


def test_a_roll_back_is_a_page_unless_there_was_no_service() -> None:
    @flow
    def publishes() -> None:
        publish_rollback(REPORT)
        publish_rollback(NOTHING_TO_UNDO)

    publishes()

    assert "2-b stays live" in shown("roll-back-shown")
