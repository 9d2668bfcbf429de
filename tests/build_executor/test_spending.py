from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from build_executor.artifacts import COST, ArtifactStore
from build_executor.claude_models import Price
from build_executor.errors import CostCeilingReached
from build_executor.models import Usage
from build_executor.settings import Settings
from build_executor.spending import BuildCost, Spending, today

MODEL = "claude-sonnet-5-5"  # $2 and $10 a million; a prompt written to the cache $2.50
USED = Usage(input_tokens=1_000, cache_write_tokens=10_000, output_tokens=6_000)
COSTS = 0.002 + 0.025 + 0.06
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(build_executor_home=tmp_path, claude_build_dollars=1, claude_day_dollars=1.5)


def test_a_call_is_set_aside_at_its_worst_and_settled_at_what_it_cost(settings: Settings) -> None:
    spending = Spending(settings, "b1", now=lambda: NOON)

    call = spending.reserve(MODEL, 1, 10_000, 32_000)
    before = spending.cost().counted_dollars
    spending.settle(call, USED, "complete")

    cost = spending.cost()
    assert before == pytest.approx(0.345)
    assert cost.dollars == pytest.approx(COSTS)
    assert (cost.counted_dollars, cost.usage) == (cost.dollars, USED)
    assert cost.ceiling_dollars == 1


def test_a_build_that_was_killed_leaves_its_reservation_standing(settings: Settings) -> None:
    Spending(settings, "b1", now=lambda: NOON).reserve(MODEL, 1, 10_000, 32_000)

    after = Spending(settings, "b1", now=lambda: NOON)

    assert after.cost().dollars is None
    assert after.cost().counted_dollars == pytest.approx(0.345)
    assert after.cost().calls[0].outcome == "not over yet"
    assert today(settings.spending, NOON.date()).counted_dollars == pytest.approx(0.345)


def test_a_call_is_refused_whose_worst_case_passes_the_builds_ceiling(settings: Settings) -> None:
    spending = Spending(settings, "b1", now=lambda: NOON)
    for _ in range(2):
        spending.reserve(MODEL, 1, 10_000, 32_000)

    with pytest.raises(
        CostCeilingReached, match=r"\$0.34, \$0.69 of \$1.00 .*CLAUDE_BUILD_DOLLARS"
    ):
        spending.reserve(MODEL, 1, 10_000, 32_000)

    assert len(spending.cost().calls) == 2


def test_the_days_ceiling_counts_all_builds(settings: Settings) -> None:
    for build in ("b1", "b1", "b2", "b2"):
        Spending(settings, build, now=lambda: NOON).reserve(MODEL, 1, 10_000, 32_000)

    with pytest.raises(CostCeilingReached, match="CLAUDE_DAY_DOLLARS"):
        Spending(settings, "b3", now=lambda: NOON).reserve(MODEL, 1, 10_000, 32_000)


def test_the_next_day_is_another_account(settings: Settings) -> None:
    for build in ("b1", "b2", "b3", "b4"):
        Spending(settings, build, now=lambda: NOON).reserve(MODEL, 1, 10_000, 32_000)

    tomorrow = Spending(settings, "b5", now=lambda: NOON + timedelta(days=1))

    assert tomorrow.reserve(MODEL, 1, 10_000, 32_000).at.day == 24


def test_a_call_that_came_to_nothing_is_free(settings: Settings) -> None:
    spending = Spending(settings, "b1", now=lambda: NOON)

    spending.release(spending.reserve(MODEL, 1, 10_000, 32_000), "busy")

    assert (spending.cost().dollars, spending.cost().counted_dollars) == (0, 0)
    assert today(settings.spending, NOON.date()).total.calls == 1


def test_a_model_without_a_price_costs_nobody_knows_what_and_counts_as_the_dearest(
    settings: Settings,
) -> None:
    rich = settings.model_copy(update={"claude_build_dollars": 9, "claude_day_dollars": 9})
    spending = Spending(rich, "b1", now=lambda: NOON)

    call = spending.reserve("claude-of-next-year", 1, 10_000, 32_000)
    settled = spending.settle(call, USED, "complete")

    assert settled.dollars is None
    assert spending.cost().dollars is None
    assert spending.cost().counted_dollars == pytest.approx(0.01 + 0.125 + 0.3)
    assert today(settings.spending, NOON.date()).total.dollars is None


def test_the_operators_price_is_the_one_that_counts(settings: Settings) -> None:
    own = Price(input=0, output=1, cache_write=0, cache_read=0)
    spending = Spending(settings.model_copy(update={"claude_prices": {MODEL: own}}), "b1")

    settled = spending.settle(spending.reserve(MODEL, 1, 10, 10), USED, "complete")

    assert settled.dollars == pytest.approx(0.006)


def test_every_attempt_has_its_own_sum(settings: Settings) -> None:
    spending = Spending(settings, "b1", now=lambda: NOON)
    for attempt in (1, 1, 2):
        spending.settle(spending.reserve(MODEL, attempt, 10, 10), USED, "complete")

    attempts = spending.cost().attempts

    assert {number: one.calls for number, one in attempts.items()} == {1: 2, 2: 1}
    assert attempts[1].dollars == pytest.approx(2 * COSTS)


def test_the_builds_account_is_an_artifact(settings: Settings) -> None:
    Spending(settings, "b1", now=lambda: NOON).reserve(MODEL, 1, 10, 10)

    kept = ArtifactStore(settings.artifacts).read_value("b1", COST, BuildCost)

    assert kept is not None
    assert [call.model for call in kept.calls] == [MODEL]


def test_a_day_on_which_nothing_was_spent_is_empty(settings: Settings) -> None:
    assert today(settings.spending).total.dollars == 0


def test_a_days_account_that_cannot_be_read_stops_the_spending(settings: Settings) -> None:
    settings.spending.mkdir(parents=True)
    (settings.spending / "2026-11-23.json").write_text("{")

    with pytest.raises(CostCeilingReached, match="cannot be read"):
        Spending(settings, "b1", now=lambda: NOON).reserve(MODEL, 1, 10, 10)


def test_builds_that_spend_at_once_do_not_pass_the_ceiling_together(settings: Settings) -> None:
    def spend(build: int) -> bool:
        try:
            Spending(settings, f"b{build}", now=lambda: NOON).reserve(MODEL, 1, 10_000, 32_000)
        except CostCeilingReached:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        allowed = list(pool.map(spend, range(12)))

    assert sum(allowed) == 4
    assert today(settings.spending, NOON.date()).counted_dollars <= 1.5


@pytest.mark.parametrize(
    ("model", "price"), [(MODEL, "for $0.0870"), ("claude-of-next-year", "at an unknown price")]
)
def test_a_call_reads_as_one_line(settings: Settings, model: str, price: str) -> None:
    spending = Spending(settings, "b1", now=lambda: NOON)

    settled = spending.settle(spending.reserve(model, 1, 10, 10), USED, "complete")

    assert str(settled) == f"{model}, 11000 tokens in (0 of them cached), 6000 out, {price}"
