"""The loop with a scripted model, through the real gates and the real sandbox."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from build_executor.events import parse
from build_executor.generators.claude import loop
from build_executor.generators.claude.earlier_work import Order, begin
from build_executor.generators.filling import Filling
from build_executor.settings import Settings
from build_executor.spec.derivation import derive_contract
from build_executor.workspace import open_workspace
from tests import bank
from tests.fakes.model import ScriptedModel, Step, answering, reply

pytestmark = pytest.mark.full

NOTES = """# notes

**Port:** 8123

### POST /notes
```json
// Request
{"text": "a"}
// Response
{"note_id": "n", "text": "a"}
```
"""

Fill = Callable[..., tuple[Filling, ScriptedModel]]


@pytest.fixture(scope="module")
def home(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "cache").symlink_to(cache)
    return home


@pytest.fixture
def order(home: Path, request: pytest.FixtureRequest) -> Order:
    settings = Settings(build_executor_home=home)
    spec = bank.SPEC.read_text()
    contract = derive_contract(spec)
    name = re.sub(r"\W", "", request.node.name)[:40]
    return Order(contract, spec, open_workspace(name, "bank", settings), settings)


@pytest.fixture
def fill(order: Order) -> Fill:
    """All attempts, as a build makes them."""

    def filled(*script: Step) -> tuple[Filling, ScriptedModel]:
        model, (filling, _) = ScriptedModel([*script]), begin(order)
        for number in (1, 2, 3):
            if filling.ended is None:
                filling = loop.attempt(order, filling, model, number)
        return loop.finish(order, filling), model

    return filled


def gates_of(filling: Filling) -> list[list[str]]:
    return [[f"{f.gate}/{f.rule}" for f in one.findings] for one in filling.attempts]


def test_every_hole_is_filled_in_one_attempt(fill: Fill, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        filling, model = fill(answering(bank.GOOD))

    told = [event.message for r in caplog.records if (event := parse(r.getMessage()))]
    assert filling.ended == "every hole is filled"
    assert not filling.open
    assert not filling.trusted
    assert len(model.questions) == 1
    assert {f"generated function {bank.DEPOSIT}", f"generated function {bank.WITHDRAW}"} <= {*told}


def test_what_passes_stays_and_only_what_fails_is_asked_again(fill: Fill) -> None:
    filling, model = fill(
        answering({**bank.GOOD, bank.DEPOSIT: bank.ECHOING_DEPOSIT}), answering(bank.GOOD)
    )

    assert not filling.open
    assert [question.functions for question in model.questions] == [
        {bank.DEPOSIT, bank.WITHDRAW},
        {bank.DEPOSIT},
    ]
    assert gates_of(filling) == [[f"pytest/test_{bank.DEPOSIT}__depends_on_what_it_is_told"], []]
    (finding,) = filling.attempts[0].findings
    assert (finding.operation, finding.spec_line) == ("POST /accounts/{account_id}/deposit", 21)
    assert "depends_on_what_it_is_told" in model.questions[1].task
    assert model.questions[0].stable == model.questions[1].stable


def test_three_attempts_are_three_different_questions(fill: Fill) -> None:
    filling, model = fill(
        reply({bank.DEPOSIT: bank.UNTYPED_DEPOSIT, bank.WITHDRAW: "def f(:\n"}),
        reply({bank.DEPOSIT: bank.ECHOING_DEPOSIT, bank.WITHDRAW: "import os\n"}),
        answering(bank.GOOD),
        answering(bank.GOOD),
    )

    assert not filling.open
    assert [len(q.functions) for q in model.questions] == [2, 2, 1, 1]
    assert [q.effort for q in model.questions] == ["medium", "medium", "high", "high"]
    assert len({q.task.split("\n")[0] for q in model.questions}) == 3
    assert filling.ended == "every hole is filled"
    assert [attempt.number for attempt in filling.attempts] == [1, 2, 3]


def test_extra_tests_count_if_they_pass_and_notice_what_is_broken(fill: Fill) -> None:
    tests = {bank.DEPOSIT_TEST: bank.GOOD_TEST, bank.WITHDRAW_TEST: bank.BLIND_TEST}

    filling, _ = fill(answering(bank.GOOD, tests))

    found = {test.path: test for test in filling.tests}
    assert found[bank.DEPOSIT_TEST].kept
    assert found[bank.DEPOSIT_TEST].caught >= 2
    assert found[bank.WITHDRAW_TEST].reason.startswith("passes whatever is broken")
    assert filling.extra_files.keys() == {bank.DEPOSIT_TEST}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (bank.GOOD_TEST.replace("== 7.5", "== 8.5"), "assert"),
        (bank.GOOD_TEST.replace("TestClient) -> None", "TestClient) -> int"), "mypy"),
    ],
)
def test_extra_tests_that_do_not_hold_do_not_count(fill: Fill, text: str, why: str) -> None:
    filling, _ = fill(answering(bank.GOOD, {bank.DEPOSIT_TEST: text}))

    (test,) = filling.tests
    assert not test.kept
    assert why in test.reason


def test_without_holes_nothing_is_asked(order: Order) -> None:
    contract = derive_contract(NOTES)

    filling, _ = begin(Order(contract, NOTES, order.workspace, order.settings))

    assert filling.ended == "the compiler left no hole"
    assert filling.settled(contract) == contract
