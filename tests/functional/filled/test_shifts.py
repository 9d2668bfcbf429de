"""The shift planner: what its document says of plans, asked over HTTP."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.shift_planner import FUNCTIONS as WRITTEN

SPEC = Path(__file__).parents[3] / "examples" / "shift-planner" / "SPEC.md"
FUNCTIONS = WRITTEN


def add_shifts(api: httpx.Client, day: str, *hours: int) -> None:
    for number in hours:
        shift = {"day": day, "starts_at": 9, "hours": number, "role": "counter"}
        assert api.post("/shifts", json=shift).status_code == 201


def suggested(api: httpx.Client, day: str, *workers: str) -> dict[str, Any]:
    asked = {"workers": workers, "from_day": day, "to_day": day}
    answer = api.post("/plans/suggest", json=asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def shared(plan: dict[str, Any]) -> list[tuple[str, int]]:
    return [(one["worker"], one["hours"]) for one in plan["suggestions"]]


def fairness(api: httpx.Client, tolerance: int, **hours: int) -> dict[str, Any]:
    shares = [{"worker": worker, "hours": number} for worker, number in hours.items()]
    answer = api.post("/plans/fairness", json={"shares": shares, "tolerance_hours": tolerance})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_longest_shift_goes_first_to_whoever_has_the_fewest_hours(api: httpx.Client) -> None:
    add_shifts(api, "2026-03-02", 4, 8, 6)

    plan = suggested(api, "2026-03-02", "bo", "ada")

    assert shared(plan) == [("ada", 8), ("bo", 6), ("bo", 4)]
    assert plan["unassigned"] == 0


def test_only_the_days_that_were_asked_for_are_shared_out(api: httpx.Client) -> None:
    add_shifts(api, "2026-04-01", 5)
    add_shifts(api, "2026-04-02", 7)

    assert shared(suggested(api, "2026-04-02", "ada")) == [("ada", 7)]
    assert shared(suggested(api, "2026-04-03", "ada")) == []


def test_without_workers_everything_is_left_over(api: httpx.Client) -> None:
    add_shifts(api, "2026-05-01", 3, 3)

    plan = suggested(api, "2026-05-01")

    assert (plan["suggestions"], plan["unassigned"]) == ([], 2)


def test_a_suggestion_is_not_stored(api: httpx.Client) -> None:
    add_shifts(api, "2026-06-01", 3)
    before = api.get("/shifts").json()

    assert suggested(api, "2026-06-01", "ada") == suggested(api, "2026-06-01", "ada")
    assert api.get("/shifts").json() == before


def test_no_shift_is_forgotten_however_many_there_are(api: httpx.Client) -> None:
    add_shifts(api, "2026-07-01", *[1] * 120)

    plan = suggested(api, "2026-07-01", "ada", "bo")

    assert len(plan["suggestions"]) == 120


@pytest.mark.parametrize(("tolerance", "fair"), [(5, False), (6, True), (7, True)])
def test_a_plan_is_fair_up_to_the_tolerance(
    api: httpx.Client, tolerance: int, *, fair: bool
) -> None:
    found = fairness(api, tolerance, ada=12, bo=6, cy=9)

    assert found == {"spread_hours": 6, "fair": fair, "busiest": "ada", "idlest": "bo"}


def test_of_two_with_the_same_hours_the_first_of_the_alphabet_is_named(api: httpx.Client) -> None:
    found = fairness(api, 0, cy=5, bo=5)

    assert (found["busiest"], found["idlest"], found["spread_hours"]) == ("bo", "bo", 0)
