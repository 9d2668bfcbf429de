from datetime import date

import pytest

from build_executor.claude_models import Price, dearest, known, price_of, retirement, table
from build_executor.models import Usage

PRICE = Price(input=2, output=10, cache_write=2.5, cache_read=0.1)
MILLION = 1_000_000


def test_the_table_says_of_which_day_it_is() -> None:
    assert table().as_of >= date(2026, 11, 23)


def test_every_kind_of_token_has_its_own_price() -> None:
    usage = Usage(
        input_tokens=MILLION,
        cache_write_tokens=MILLION,
        cache_read_tokens=MILLION,
        output_tokens=MILLION,
    )

    assert PRICE.dollars(usage) == pytest.approx(2 + 2.5 + 0.1 + 10)


def test_a_long_prompt_has_dearer_rates_where_the_table_says_so() -> None:
    haiku = known("claude-haiku-5-5")
    assert haiku is not None

    short = haiku.dollars(Usage(input_tokens=100_000, output_tokens=1_000))
    long = haiku.dollars(Usage(input_tokens=60_000, cache_read_tokens=40_001, output_tokens=1_000))

    assert short == pytest.approx(0.0105)
    assert long == pytest.approx(0.06 * 0.5 + 0.040001 * 0.05 + 0.0025)


def test_the_worst_case_writes_the_whole_prompt_to_the_cache() -> None:
    assert PRICE.worst_case(10_000, 30_000) == pytest.approx(0.025 + 0.3)


def test_the_worst_case_holds_where_the_cache_is_free() -> None:
    free_cache = PRICE.model_copy(update={"cache_write": 0.0})

    assert free_cache.worst_case(10_000, 0) == pytest.approx(0.02)


def test_the_operators_price_goes_before_the_table() -> None:
    assert price_of("claude-sonnet-5-5", {"claude-sonnet-5-5": PRICE}) == PRICE
    assert price_of("claude-sonnet-5-5", {}) == known("claude-sonnet-5-5")


def test_an_unknown_model_has_no_price() -> None:
    assert price_of("claude-of-next-year", {}) is None


def test_a_ceiling_assumes_the_dearest_price_there_is() -> None:
    dear = Price(input=100, output=500, cache_write=125, cache_read=10)

    assert dearest({}).output == 50
    assert dearest({"new": dear}) == dear


def test_a_model_that_retires_is_said_to() -> None:
    assert retirement("claude-sonnet-4-5-20250929") == (
        "claude-sonnet-4-5-20250929 retires on 2026-11-30; "
        "set CLAUDE_MODEL, for example to claude-sonnet-5-5"
    )


@pytest.mark.parametrize("name", ["claude-sonnet-5-5", "claude-of-next-year"])
def test_nothing_is_said_of_a_model_that_stays_or_is_unknown(name: str) -> None:
    assert retirement(name) is None
