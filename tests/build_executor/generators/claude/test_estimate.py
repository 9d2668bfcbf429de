"""The estimate against the stand-in's own count and what the calls are billed."""

from pathlib import Path

import pytest

from build_executor.claude_models import table
from build_executor.generators.claude.estimate import estimate
from build_executor.generators.claude.holes import find_holes
from build_executor.generators.claude.questions import questions, stable_part
from build_executor.generators.filling import Filling
from build_executor.spec.derivation import derive_contract
from build_executor.spending import Spending
from tests.build_executor.generators.claude.conftest import NEW, OpenClaude
from tests.messages_server import MessagesServer, Says, writes

TEXT = (Path(__file__).parents[4] / "examples" / "shift-planner" / "SPEC.md").read_text()
CONTRACT = derive_contract(TEXT)


def test_a_dearer_model_is_dearer_and_more_attempts_are_too() -> None:
    sonnet = estimate(CONTRACT, TEXT, NEW, {})
    opus = estimate(CONTRACT, TEXT, "claude-opus-5-5", {})

    assert sonnet.holes == ("POST /plans/suggest", "POST /plans/fairness")
    assert 0 < (sonnet.one_attempt or 0) < (opus.one_attempt or 0)
    assert (sonnet.one_attempt or 0) < (sonnet.all_attempts or 0) < 1


def test_it_is_of_the_order_of_what_the_first_attempt_is_billed(
    server: MessagesServer, open_claude: OpenClaude, spending: Spending
) -> None:
    unfilled = find_holes(CONTRACT, TEXT)
    filling = Filling(
        contract_digest=CONTRACT.digest, holes={hole.name: hole.label for hole in unfilled.holes}
    )
    question = next(questions(unfilled, stable_part(unfilled, TEXT), filling, attempt=1))
    both = writes({hole.name: hole.skeleton for hole in unfilled.holes}).blocks
    server.script = [Says(both, output_tokens=8_000)]

    open_claude().ask(question)

    expected = estimate(CONTRACT, TEXT, NEW, {})
    assert spending.cost().dollars == pytest.approx(expected.one_attempt, rel=0.15)


def test_the_readme_says_what_the_example_costs_by_todays_prices() -> None:
    readme = (Path(__file__).parents[4] / "README.md").read_text(encoding="utf-8")
    expected = estimate(CONTRACT, TEXT, NEW, {})

    assert f"costs about ${expected.one_attempt:.2f} with `{NEW}`" in readme
    assert f"about ${expected.all_attempts:.2f} if it takes all three" in readme
    assert f"prices of {table().as_of.isoformat()}" in readme
