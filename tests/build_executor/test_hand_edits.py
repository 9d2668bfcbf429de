"""What a person changed in the functions of a service, from one build to the next."""

from pathlib import Path

import pytest

from build_executor.errors import GenerationFailed
from build_executor.generation import put_in_place
from build_executor.generators import Attempt
from build_executor.generators.claude.earlier_work import Order, begin, keep
from build_executor.generators.filling import Author, Filled, Filling, Written
from build_executor.hand_edits import EDITABLE, Conflict
from build_executor.settings import Settings
from build_executor.spec.derivation import derive_contract
from build_executor.workspace import open_workspace
from tests import bank

SPEC = bank.SPEC.read_text()
CREATE = "def create_account(repository: Repository, body: CreateAccount) -> Account:"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(build_executor_home=tmp_path)


def order_of(settings: Settings, spec: str, build_id: str) -> Order:
    contract = derive_contract(spec)
    return Order(contract, spec, open_workspace(build_id, contract.service, settings), settings)


def built(settings: Settings, spec: str = SPEC, build_id: str = "b1", edit: str = "") -> Filling:
    """A completed build; a person adds `edit` to the functions while it waits."""
    order = order_of(settings, spec, build_id)
    filling, _ = begin(order)
    put_in_place(filling.settled(order.contract), order.workspace, Filled(filling))
    logic = order.workspace.source / "app" / "logic.py"
    logic.write_text(logic.read_text() + edit)
    assert keep(order, filling)
    return filling


def editable(settings: Settings) -> Path:
    return settings.sources / "bank" / EDITABLE


def edit(settings: Settings, old: str, new: str) -> None:
    text = editable(settings).read_text()
    assert old in text
    editable(settings).write_text(text.replace(old, new))


def logic_of(settings: Settings, spec: str = SPEC) -> str:
    """What the next build would write."""
    order = order_of(settings, spec, "next")
    filling, _ = begin(order)
    settled = filling.settled(order.contract)
    return Filled(filling).generate_code(settled, Attempt())["app/logic.py"]


def conflicts_of(settings: Settings, spec: str) -> tuple[Conflict, ...]:
    return begin(order_of(settings, spec, "next"))[1]


def test_without_an_edit_the_next_build_is_as_the_first(settings: Settings) -> None:
    built(settings)

    filling, conflicts = begin(order_of(settings, SPEC, "b2"))

    assert filling.written == ()
    assert conflicts == ()


def test_an_edit_survives_the_next_builds(settings: Settings) -> None:
    built(settings)
    edit(settings, '"balance": 0.0,', '"balance": 100.0,')

    for number in (2, 3):
        filling = built(settings, build_id=f"b{number}")
        assert [(one.name, one.author) for one in filling.written] == [
            ("create_account", Author.PERSON)
        ]
        assert filling.trusted
    assert '"balance": 100.0' in logic_of(settings)


def test_an_edit_made_while_a_build_waits_survives_too(settings: Settings) -> None:
    built(settings, edit="\n\nBONUS = 5\n\n\ndef bonus() -> int:\n    return BONUS\n")

    text = logic_of(settings)

    assert "def bonus() -> int:" in text
    assert "BONUS = 5" in text


def test_what_an_edit_imports_comes_with_it(settings: Settings) -> None:
    built(settings)
    edit(settings, CREATE, f"import math\n\n\n{CREATE}")
    edit(settings, '"balance": 0.0,', '"balance": math.floor(1.5),')

    assert "import math" in logic_of(settings)


def test_an_edit_stays_when_something_else_of_the_spec_changes(settings: Settings) -> None:
    built(settings)
    edit(settings, '"balance": 0.0,', '"balance": 100.0,')
    changed = SPEC + "\n### GET /transfers/{transfer_id}\n"

    assert conflicts_of(settings, changed) == ()
    assert '"balance": 100.0' in logic_of(settings, changed)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('{"owner": "Ann", "currency": "EUR"}', '{"owner": "Ann"}', "demands something else"),
        ("### POST /accounts\n", "### POST /clients\n", "no longer has its operation"),
    ],
)
def test_an_edit_of_an_operation_that_changed_has_to_be_decided(
    settings: Settings, old: str, new: str, reason: str
) -> None:
    built(settings)
    edit(settings, '"balance": 0.0,', '"balance": 100.0,')

    (conflict,) = conflicts_of(settings, SPEC.replace(old, new, 1))

    assert conflict.function == "create_account"
    assert reason in conflict.reason
    assert '"balance": 100.0' in str(conflict)
    assert '"balance": 100.0' not in logic_of(settings, SPEC.replace(old, new, 1))


def test_a_person_can_fill_a_hole(settings: Settings) -> None:
    built(settings)
    text = editable(settings).read_text()
    stub = text[text.index(f"def {bank.DEPOSIT}") : text.index(f"def {bank.WITHDRAW}")]
    editable(settings).write_text(text.replace(stub, f"{bank.GOOD_DEPOSIT}\n\n"))

    order = order_of(settings, SPEC, "b2")
    filling, _ = begin(order)

    rules = {o.name: o.rule for o in filling.settled(order.contract).business}
    assert (rules[bank.DEPOSIT], rules[bank.WITHDRAW]) == ("written", "stub")
    assert filling.open == (bank.WITHDRAW,)
    assert "written by hand" in str(filling.settled(order.contract).assumptions)


def test_a_hole_filled_with_another_signature_says_which_is_wanted(settings: Settings) -> None:
    built(settings)
    edit(settings, f"def {bank.DEPOSIT}(account_id: str,", f"def {bank.DEPOSIT}(account: str,")

    with pytest.raises(GenerationFailed, match="repository: Repository, account_id: str"):
        begin(order_of(settings, SPEC, "b2"))


@pytest.mark.parametrize("content", [b"def broken(:\n", b"\xff\xfe"])
def test_a_file_that_is_no_python_any_more_is_refused(settings: Settings, content: bytes) -> None:
    built(settings)
    editable(settings).write_bytes(content)

    with pytest.raises(GenerationFailed):
        begin(order_of(settings, SPEC, "b2"))


def test_a_deleted_file_is_no_edit(settings: Settings) -> None:
    built(settings)
    editable(settings).unlink()

    assert begin(order_of(settings, SPEC, "b2"))[0].written == ()


def test_an_edit_made_during_a_build_waits_for_the_next_one(settings: Settings) -> None:
    built(settings)
    order = order_of(settings, SPEC, "b2")
    filling, _ = begin(order)
    put_in_place(filling.settled(order.contract), order.workspace, Filled(filling))
    edit(settings, '"balance": 0.0,', '"balance": 100.0,')

    assert not keep(order, filling)
    assert '"balance": 100.0' in logic_of(settings)


def test_a_damaged_record_is_no_record(settings: Settings) -> None:
    built(settings)
    (settings.sources / "bank" / "kept.json").write_text("{")

    assert begin(order_of(settings, SPEC, "b2"))[0].written == ()


def test_what_a_model_wrote_is_not_paid_for_twice(settings: Settings) -> None:
    order = order_of(settings, SPEC, "b1")
    filling, _ = begin(order)
    by_model = Written(
        name=bank.DEPOSIT, text=bank.GOOD_DEPOSIT, author=Author.CLAUDE, model="m", attempt=1
    )
    filling = filling.model_copy(update={"written": (by_model,)})
    put_in_place(filling.settled(order.contract), order.workspace, Filled(filling))
    assert keep(order, filling)

    again, _ = begin(order_of(settings, SPEC, "b2"))

    assert [(one.name, one.attempt) for one in again.written] == [(bank.DEPOSIT, None)]
    assert again.open == (bank.WITHDRAW,)
    assert not again.trusted


def test_what_a_model_wrote_stays_when_the_spec_only_moves(settings: Settings) -> None:
    test_what_a_model_wrote_is_not_paid_for_twice(settings)

    again, _ = begin(order_of(settings, SPEC.replace("# Bank\n", "# Bank\n\n\n"), "b3"))

    assert [one.name for one in again.written] == [bank.DEPOSIT]


def test_what_a_model_wrote_is_asked_again_when_the_words_change(settings: Settings) -> None:
    test_what_a_model_wrote_is_not_paid_for_twice(settings)
    other = SPEC.replace("Adds money to the balance", "Adds money, less a fee of 1")

    again, _ = begin(order_of(settings, other, "b3"))

    assert again.written == ()
