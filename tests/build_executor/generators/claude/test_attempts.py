"""The loop's decisions, with a scripted model and gates that run nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from build_executor.errors import CostCeilingReached, GenerationFailed, ModelUnavailable
from build_executor.events import parse
from build_executor.generation import put_in_place
from build_executor.generators.claude import loop
from build_executor.generators.claude.earlier_work import Order, begin, keep
from build_executor.generators.claude.prompts import prompt
from build_executor.generators.claude.repair import repair
from build_executor.generators.filling import (
    AttemptReport,
    Author,
    ExtraTest,
    Filled,
    Filling,
    Written,
    keep_filling,
    read_filling,
)
from build_executor.generators.model import Outcome, Question, Reply
from build_executor.models import Finding
from build_executor.settings import Settings
from build_executor.spec.derivation import derive_contract
from build_executor.workspace import open_workspace
from tests import bank
from tests.fakes.gates import FakeGates
from tests.fakes.model import ScriptedModel, Step, answering, reply

SPEC = bank.SPEC.read_text()
LABEL = "POST /accounts/{account_id}/deposit"
WRONG = Finding(gate="pytest", rule="wrong", message="wrong", operation=LABEL)


def order_of(tmp_path: Path, gates: FakeGates, build_id: str = "b") -> Order:
    settings = Settings(build_executor_home=tmp_path)
    workspace = open_workspace(build_id, "bank", settings)
    return Order(derive_contract(SPEC), SPEC, workspace, settings, gates)


def filled(order: Order, *script: Step) -> tuple[Filling, ScriptedModel]:
    model, (filling, _) = ScriptedModel([*script]), begin(order)
    for number in (1, 2, 3):
        if filling.ended is None:
            filling = loop.attempt(order, filling, model, number)
    return loop.finish(order, filling), model


def test_what_the_gates_blame_is_asked_again(tmp_path: Path) -> None:
    gates = FakeGates({"balance=12.5": WRONG})
    bad = {**bank.GOOD, bank.DEPOSIT: bank.ECHOING_DEPOSIT}

    filling, model = filled(order_of(tmp_path, gates), answering(bad), answering(bank.GOOD))

    assert not filling.open
    assert gates.judged == [set(bank.GOOD), {bank.WITHDRAW}, set(bank.GOOD)]
    assert [attempt.accepted for attempt in filling.attempts] == [(bank.WITHDRAW,), (bank.DEPOSIT,)]
    assert "wrong" in model.questions[1].task
    assert "balance=12.5" in model.questions[1].task
    assert model.questions[0].stable == model.questions[1].stable
    assert bank.GOOD_WITHDRAW.strip() in model.questions[1].task
    assert bank.GOOD_WITHDRAW.strip() not in model.questions[0].task
    assert filling.attempts[0].dollars == 0.01


def test_every_written_function_is_told_to_whoever_watches(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        filled(order_of(tmp_path, FakeGates()), answering(bank.GOOD))

    told = [event.message for record in caplog.records if (event := parse(record.getMessage()))]
    assert [f"generated function {name}" for name in bank.GOOD] == told


def test_a_model_is_shown_all_that_it_needs_to_write_a_function(tmp_path: Path) -> None:
    _, model = filled(order_of(tmp_path, FakeGates()), answering(bank.GOOD))

    stable, task = model.questions[0].stable, model.questions[0].task
    assert SPEC.strip() in stable
    assert "class DepositAccount(BaseModel):" in stable
    assert "class ConflictError(ServiceError):" in stable
    assert "Record = dict[str, Any]" in stable
    assert "def replace(self, resource: str, record_id: object, record: Record" in stable
    assert 'repository.require("accounts", account_id, "account")' in stable
    assert f"def test_{bank.DEPOSIT}__answers_as_specified" in stable
    assert "Adds money to the balance" in task
    assert bank.DEPOSIT_HEAD.split("(")[0] in task
    assert bank.DEPOSIT_TEST in task


def test_if_nothing_passes_nothing_stays(tmp_path: Path) -> None:
    gates = FakeGates({"balance=12.5": WRONG})
    bad = answering({bank.DEPOSIT: bank.ECHOING_DEPOSIT})

    filling, _ = filled(order_of(tmp_path, gates), bad, bad)

    assert filling.functions == {}


def test_what_breaks_something_else_is_found_one_by_one(tmp_path: Path) -> None:
    gates = FakeGates(silent_about=frozenset({"balance=12.5"}))
    bad = {**bank.GOOD, bank.DEPOSIT: bank.ECHOING_DEPOSIT}

    filling, _ = filled(order_of(tmp_path, gates), answering(bad), answering(bad), answering(bad))

    assert filling.functions.keys() == {bank.WITHDRAW}
    assert filling.ended == "no progress: the same findings again"
    rules = {o.name: o.rule for o in filling.settled(derive_contract(SPEC)).business}
    assert (rules[bank.DEPOSIT], rules[bank.WITHDRAW]) == ("stub", "written")


def test_the_last_attempt_asks_for_each_function_alone(tmp_path: Path) -> None:
    first, second = reply({bank.DEPOSIT: "x = 1"}), reply({bank.WITHDRAW: "x = 1"})

    filling, model = filled(
        order_of(tmp_path, FakeGates()),
        first,
        second,
        reply(outcome=Outcome.TRUNCATED, detail="too long"),
        reply(),
    )

    assert [len(question.functions) for question in model.questions] == [2, 2, 1, 1]
    assert filling.ended == "3 attempts were made"
    assert filling.attempts[-1].outcomes == ("truncated: too long", "complete")
    assert prompt("single").text.splitlines()[0] in model.questions[3].task
    assert [question.effort for question in model.questions] == ["medium"] * 2 + ["high"] * 2
    assert len({question.task.splitlines()[0] for question in model.questions}) == 3
    assert [question.attempt for question in model.questions] == [1, 2, 3, 3]


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (ModelUnavailable("gone"), "no model answers: gone"),
        (CostCeilingReached("much"), "the ceiling is reached: much"),
        (reply(outcome=Outcome.REFUSED), "the model refused: it did not say why"),
    ],
)
def test_what_ends_the_loop_is_said(tmp_path: Path, step: Step, why: str) -> None:
    filling, model = filled(order_of(tmp_path, FakeGates()), step)

    assert filling.ended == why
    assert filling.trusted
    assert len(model.questions) == 1
    settled = filling.settled(derive_contract(SPEC))
    assert "nothing was written" in str(settled.gaps)


def test_no_further_function_is_asked_for_when_the_time_is_up(tmp_path: Path) -> None:
    now = [0.0]

    def slowly(question: Question) -> Reply:
        now[0] += 601
        return reply({name: bank.GOOD[name] for name in question.functions})

    order = replace(order_of(tmp_path, FakeGates()), clock=lambda: now[0])

    filling, model = filled(order, reply(outcome=Outcome.TOO_LONG), slowly)

    assert [len(question.functions) for question in model.questions] == [2, 1]
    assert filling.functions.keys() == {bank.DEPOSIT}
    assert filling.ended == "out of time: attempt 2 had 10 minutes"
    assert filling.attempts[1].seconds == 601


def test_after_prose_another_form_is_tried(tmp_path: Path) -> None:
    prose = reply(outcome=Outcome.PROSE)

    _, model = filled(order_of(tmp_path, FakeGates()), prose, answering(bank.GOOD))

    assert [question.form for question in model.questions] == ["tools", "structured"]


@pytest.mark.parametrize("outcome", [Outcome.TRUNCATED, Outcome.TOO_LONG])
def test_what_did_not_fit_is_asked_for_one_by_one(tmp_path: Path, outcome: Outcome) -> None:
    nothing = reply(outcome=outcome)

    filling, model = filled(
        order_of(tmp_path, FakeGates()), nothing, answering(bank.GOOD), answering(bank.GOOD)
    )

    assert [len(question.functions) for question in model.questions] == [2, 1, 1]
    assert not filling.open


def test_a_fence_around_code_is_no_fault(tmp_path: Path) -> None:
    fenced = {name: f"```python\n{text}```" for name, text in bank.GOOD.items()}

    filling, _ = filled(order_of(tmp_path, FakeGates()), answering(fenced))

    assert not filling.open


def test_what_nobody_asked_for_is_a_finding(tmp_path: Path) -> None:
    said = reply(bank.GOOD, {"app/main.py": "x"})

    filling, _ = filled(order_of(tmp_path, FakeGates()), said)

    assert [finding.rule for finding in filling.refused] == ["not-asked-for"]


def test_an_unknown_price_is_not_nothing(tmp_path: Path) -> None:
    free = reply(bank.GOOD).model_copy(update={"dollars": None})

    filling, _ = filled(order_of(tmp_path, FakeGates()), free)

    assert filling.attempts[0].dollars is None


@pytest.mark.parametrize(
    ("gates", "text", "why"),
    [
        (FakeGates(noticed="+ body.amount"), bank.GOOD_TEST, "fails if its function is broken"),
        (FakeGates(), bank.BLIND_TEST, "passes whatever is broken"),
        (FakeGates(), "import os\n", "[rules/"),
        (FakeGates(noticed="nowhere"), bank.GOOD_TEST, "[pytest/t] m"),
        (
            FakeGates(faults=(Finding(gate="mypy", rule="x", message="m", file="tests/a.py"),)),
            bank.GOOD_TEST,
            "[mypy/x] m",
        ),
        (FakeGates(faults=(WRONG,), refuses_files=True), bank.GOOD_TEST, "[pytest/wrong]"),
    ],
)
def test_extra_tests_have_to_earn_their_place(
    tmp_path: Path, gates: FakeGates, text: str, why: str
) -> None:
    said = answering(bank.GOOD, {bank.DEPOSIT_TEST: text})

    filling, _ = filled(order_of(tmp_path, gates), said)

    (test,) = filling.tests
    assert why in test.reason
    assert test.kept is why.startswith("fails if")
    assert bool(filling.extra_files) is test.kept


def test_extra_tests_of_a_function_that_is_not_there_do_not_count(tmp_path: Path) -> None:
    said = answering({bank.DEPOSIT: "x = 1"}, {bank.DEPOSIT_TEST: bank.GOOD_TEST})

    filling, _ = filled(order_of(tmp_path, FakeGates()), said, said)

    assert [test.reason for test in filling.tests] == ["its function is not in the service"]


def test_the_account_is_kept_beside_the_source(tmp_path: Path) -> None:
    order = order_of(tmp_path, FakeGates())
    filling, _ = filled(order, answering(bank.GOOD, {bank.DEPOSIT_TEST: bank.GOOD_TEST}))

    assert read_filling(order.workspace) is None
    keep_filling(order.workspace, filling)

    assert read_filling(order.workspace) == filling


def test_the_filled_service_has_the_functions_and_the_tests_that_count(tmp_path: Path) -> None:
    order = order_of(tmp_path, FakeGates(noticed="+ body.amount"))
    filling, _ = filled(order, answering(bank.GOOD, {bank.DEPOSIT_TEST: bank.GOOD_TEST}))

    put_in_place(filling.settled(order.contract), order.workspace, Filled(filling))

    assert not Filled(filling).trusted
    logic = (order.workspace.source / "app" / "logic.py").read_text()
    assert 'balance = account.get("balance", 0.0) + body.amount' in logic
    assert (order.workspace.source / bank.DEPOSIT_TEST).is_file()


def by_model(*names: str) -> tuple[Written, ...]:
    return tuple(
        Written(name=n, text=bank.GOOD[n], author=Author.CLAUDE, model="m", attempt=1)
        for n in names
    )


@pytest.mark.parametrize(
    ("gates", "names"),
    [
        (FakeGates(), {bank.DEPOSIT, bank.WITHDRAW}),
        (FakeGates({"+ body.amount": WRONG}), {bank.WITHDRAW}),
        (FakeGates(silent_about=frozenset({"+ body.amount"})), set()),
    ],
)
def test_what_a_model_wrote_before_is_judged_again(
    tmp_path: Path, gates: FakeGates, names: set[str]
) -> None:
    order = order_of(tmp_path, FakeGates())
    filling = begin(order)[0].model_copy(update={"written": by_model(*bank.GOOD)})
    put_in_place(filling.settled(order.contract), order.workspace, Filled(filling))
    assert keep(order, filling)

    again, _ = begin(order_of(tmp_path, gates, "next"))

    assert again.functions.keys() == names
    assert again.ended == ("every hole is filled" if len(names) == 2 else None)
    assert all("kept from an earlier build" in str(one) for one in again.written)


def test_a_models_function_that_a_person_edited_is_still_partly_the_models(tmp_path: Path) -> None:
    order = order_of(tmp_path, FakeGates())
    filling = begin(order)[0].model_copy(update={"written": by_model(*bank.GOOD)})
    put_in_place(filling.settled(order.contract), order.workspace, Filled(filling))
    assert keep(order, filling)
    logic = order.settings.sources / "bank" / "logic.py"
    logic.write_text(logic.read_text().replace("the balance is too low", "not enough money"))

    again, _ = begin(order_of(tmp_path, FakeGates(), "next"))

    assert {str(one) for one in again.written} == {
        "by m, edited by hand",
        "written by m (kept from an earlier build); the contract's tests pass",
    }
    assert not again.trusted


def test_a_blamed_function_is_repaired(tmp_path: Path) -> None:
    order = order_of(tmp_path, FakeGates())
    broken = by_model(bank.DEPOSIT, bank.WITHDRAW)
    filling = begin(order)[0].model_copy(update={"written": broken})
    better = bank.GOOD_DEPOSIT.replace("Adds money", "Adds the money")

    fenced = reply({bank.DEPOSIT: f"```python\n{better}```\n"})

    repaired = repair(order, filling, [WRONG], ScriptedModel([fenced]))

    assert repaired is not None
    assert repaired.functions == {bank.DEPOSIT: better, bank.WITHDRAW: bank.GOOD_WITHDRAW}


@pytest.mark.parametrize(
    "model",
    [
        None,
        ScriptedModel([ModelUnavailable("gone")]),
        ScriptedModel([reply({bank.DEPOSIT: bank.GOOD_DEPOSIT})]),
        ScriptedModel([reply({bank.DEPOSIT: "x = 1"})]),
        ScriptedModel([reply({bank.DEPOSIT: bank.ECHOING_DEPOSIT})]),
    ],
)
def test_what_cannot_be_repaired_is_dropped(tmp_path: Path, model: ScriptedModel | None) -> None:
    order = order_of(tmp_path, FakeGates({"balance=12.5": WRONG}))
    files = (bank.DEPOSIT_TEST, bank.WITHDRAW_TEST)
    tests = tuple(ExtraTest(path=path, text="", kept=True) for path in files)
    filling = begin(order)[0].model_copy(update={"written": by_model(*bank.GOOD), "tests": tests})

    repaired = repair(order, filling, [WRONG], model)

    assert repaired is not None
    assert repaired.functions.keys() == {bank.WITHDRAW}
    assert [one.name for one in repaired.rejected] == [bank.DEPOSIT]
    assert repaired.extra_files.keys() == {bank.WITHDRAW_TEST}


def test_if_no_finding_names_anybody_all_that_a_model_wrote_is_to_blame(tmp_path: Path) -> None:
    order = order_of(tmp_path, FakeGates())
    filling = begin(order)[0].model_copy(update={"written": by_model(*bank.GOOD)})
    finding = Finding(gate="start", rule="health", message="no output")

    repaired = repair(order, filling, [finding], None)

    assert repaired is not None
    assert repaired.functions == {}


def test_what_no_model_wrote_is_not_to_blame(tmp_path: Path) -> None:
    order = order_of(tmp_path, FakeGates())

    assert repair(order, begin(order)[0], [WRONG], None) is None


def test_without_a_sandbox_the_reason_is_given(tmp_path: Path) -> None:
    settings = Settings(build_executor_home=tmp_path, bubblewrap="/nowhere/bwrap")
    order = Order(derive_contract(SPEC), SPEC, open_workspace("b", "bank", settings), settings)

    with pytest.raises(GenerationFailed, match="runs in bubblewrap only"):
        loop.attempt(order, begin(order)[0], ScriptedModel(), 1)


def test_an_account_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    order = order_of(tmp_path, FakeGates())
    (order.workspace.path / "generation.json").write_text("{")

    assert read_filling(order.workspace) is None


def test_two_attempts_that_bring_no_fewer_findings_are_stuck() -> None:
    def attempt(number: int, *rules: str) -> AttemptReport:
        findings = tuple(Finding(gate="g", rule=rule, message="m") for rule in rules)
        return AttemptReport(number=number, asked=(), findings=findings)

    assert loop.is_stuck([attempt(1, "a"), attempt(2, "a")])
    assert loop.is_stuck([attempt(1, "a"), attempt(2, "b"), attempt(3, "c")])
    assert not loop.is_stuck([attempt(1, "a", "b"), attempt(2, "c")])
    assert not loop.is_stuck([attempt(1, "a")])
