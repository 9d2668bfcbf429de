"""What runs by itself: Prefect knows the next runs of each active schedule, and of no other."""

import time

import httpx
import pytest

from tests.end_to_end.stack import Stack

pytestmark = pytest.mark.full

_WITHIN_SECONDS = 240.0  # Prefect plans once a minute


def planned(stack: Stack, flow: str) -> list[str]:
    """The states of this flow's runs that wait for their time."""
    asked = {
        "flows": {"name": {"any_": [flow]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    api = stack.environment["PREFECT_API_URL"]
    answer = httpx.post(f"{api}/flow_runs/filter", json=asked, timeout=30).raise_for_status()
    return [run["state_name"] for run in answer.json()]


def test_the_nightly_cleaning_is_planned_and_the_rebuild_is_not(stack: Stack) -> None:
    deadline = time.monotonic() + _WITHIN_SECONDS

    while not (found := planned(stack, "prune")):
        assert time.monotonic() < deadline, "Prefect plans no runs"
        time.sleep(0.5)

    assert set(found) == {"Scheduled"}
    assert planned(stack, "rebuild-changed") == []
