"""The loop with a scripted model, through the real gates and the real sandbox."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from build_executor.errors import CostCeilingReached, GenerationFailed, ModelUnavailable
from build_executor.events import parse
from build_executor.generators.claude import loop
from build_executor.generators.claude.earlier_work import Order, begin
from build_executor.generators.filling import Filling
from build_executor.generators.model import Outcome
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
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


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


def test_no_progress_ends_the_loop_and_keeps_what_passed(fill: Fill) -> None:
    wrong = answering({bank.DEPOSIT: bank.GOOD_DEPOSIT, bank.WITHDRAW: "x = 1\n"})

    filling, model = fill(wrong, wrong, wrong)

    assert filling.open == (bank.WITHDRAW,)
    assert filling.ended == "no progress: the same findings again"
    assert len(model.questions) == 2
    settled = filling.settled(derive_contract(bank.SPEC.read_text()))
    rules = {o.name: o.rule for o in settled.business}
    assert (rules[bank.DEPOSIT], rules[bank.WITHDRAW]) == ("written", "stub")
    assert "not-one-function" in str(settled.gaps)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ModelUnavailable("all are gone"), "no model answers: all are gone"),
        (CostCeilingReached("5.00 dollars"), "the ceiling is reached: 5.00 dollars"),
    ],
)
def test_without_a_model_or_money_the_best_so_far_is_kept(
    fill: Fill, error: Exception, why: str
) -> None:
    filling, _ = fill(answering({bank.DEPOSIT: bank.GOOD_DEPOSIT}), error)

    assert filling.ended == why
    assert filling.functions.keys() == {bank.DEPOSIT}


def test_a_refusal_is_not_asked_again(fill: Fill) -> None:
    filling, model = fill(reply(outcome=Outcome.REFUSED, detail="cyber"))

    assert filling.ended == "the model refused: cyber"
    assert len(model.questions) == 1
    assert filling.trusted


def test_after_prose_the_structured_form_is_asked_for(fill: Fill) -> None:
    filling, model = fill(reply(outcome=Outcome.PROSE), answering(bank.GOOD))

    assert [question.form for question in model.questions] == ["tools", "structured"]
    assert not filling.open


def test_what_was_not_asked_for_is_refused_and_reported(fill: Fill) -> None:
    unasked = {"tests/test_contract.py": "", "app/main.py": "x", "../../etc/passwd": "x"}

    filling, _ = fill(reply({**bank.GOOD, "create_account": "x"}, unasked))

    told = [finding.message for finding in filling.refused]
    assert len(told) == 4
    assert all("it is not used" in message for message in told)
    assert filling.functions == bank.GOOD


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
        ("import os\n\ndef test_x() -> None:\n    assert os\n", "import"),
        (bank.GOOD_TEST.replace("== 7.5", "== 8.5"), "assert"),
        (bank.GOOD_TEST.replace("TestClient) -> None", "TestClient) -> int"), "mypy"),
        (bank.GOOD_TEST.replace("make_account(client)", "make_nothing(client)"), "F821"),
    ],
)
def test_extra_tests_that_do_not_hold_do_not_count(fill: Fill, text: str, why: str) -> None:
    filling, _ = fill(answering(bank.GOOD, {bank.DEPOSIT_TEST: text}))

    (test,) = filling.tests
    assert not test.kept
    assert why in test.reason


def test_extra_tests_of_a_function_that_is_not_there_do_not_count(fill: Fill) -> None:
    broken = {**bank.GOOD, bank.DEPOSIT: "x = 1\n"}
    once = answering(broken, {bank.DEPOSIT_TEST: bank.GOOD_TEST})

    filling, _ = fill(once, once)

    assert [(test.kept, test.reason) for test in filling.tests] == [
        (False, "its function is not in the service")
    ]


def test_without_holes_nothing_is_asked(order: Order) -> None:
    contract = derive_contract(NOTES)

    filling, _ = begin(Order(contract, NOTES, order.workspace, order.settings))

    assert filling.ended == "the compiler left no hole"
    assert filling.settled(contract) == contract


def test_without_a_sandbox_nothing_is_asked_and_the_reason_is_given(order: Order) -> None:
    nowhere = order.settings.model_copy(update={"bubblewrap": "/nowhere/bwrap"})
    model = ScriptedModel()
    unconfined = Order(order.contract, order.spec, order.workspace, nowhere)

    with pytest.raises(GenerationFailed, match="runs in bubblewrap only"):
        loop.attempt(unconfined, begin(unconfined)[0], model, 1)

    assert not model.questions
