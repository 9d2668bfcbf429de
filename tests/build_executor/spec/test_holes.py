from pathlib import Path

import pytest

from build_executor.spec.contract import Contract, Operation, Shape
from build_executor.spec.derivation import derive_contract
from build_executor.spec.holes import WRITTEN, demand_digest, holes_of, settle
from build_executor.spec.report import status_of

BANK = Path(__file__).parents[2] / "functional" / "bank" / "SPEC.md"
DEPOSIT, WITHDRAW = "post_accounts_account_id_deposit", "post_accounts_account_id_withdraw"


@pytest.fixture(scope="module")
def bank() -> Contract:
    return derive_contract(BANK.read_text())


def operation(contract: Contract, name: str) -> Operation:
    return next(o for o in contract.operations if o.name == name)


def test_the_holes_are_what_no_rule_implements(bank: Contract) -> None:
    assert [o.name for o in holes_of(bank)] == [DEPOSIT, WITHDRAW]


def test_what_stands_for_any_method_is_no_hole() -> None:
    contract = Contract(
        service="s",
        operations=(
            Operation(method="ANY", path="/{path}", spec_line=1, name="any", rule="stub"),
            Operation(method="GET", path="/x", spec_line=2, name="x", rule="stub"),
        ),
    )

    assert [o.name for o in holes_of(contract)] == ["x"]


def test_a_written_operation_has_the_answer_that_the_spec_shows(bank: Contract) -> None:
    settled = settle(bank, {WITHDRAW: "by hand"})

    written = operation(settled, WITHDRAW)
    assert written.rule == WRITTEN
    assert written.resource == "accounts"
    assert written.effect.id_parameter == "account_id"
    assert written.errors == (409,)
    assert written.response is not None
    assert written.response["required"] == ["account_id", "balance"]
    assert operation(settled, DEPOSIT).rule == "stub"


def test_the_reader_is_told_who_wrote_and_why_somebody_could_not(bank: Contract) -> None:
    settled = settle(bank, {WITHDRAW: "by hand"}, {DEPOSIT: "nobody could"})

    written = operation(settled, WITHDRAW)
    assert [(n.operation, n.message) for n in settled.gaps] == [
        ("POST /accounts/{account_id}/deposit", "nobody could")
    ]
    assert (written.label, "by hand") in [(n.operation, n.message) for n in settled.assumptions]
    assert status_of(written, settled) == "written"


def test_the_document_says_what_is_written(bank: Contract) -> None:
    paths = settle(bank, {WITHDRAW: "by hand"}).openapi["paths"]

    assert isinstance(paths, dict)
    assert "'200'" in str(paths["/accounts/{account_id}/withdraw"])
    assert "'501'" in str(paths["/accounts/{account_id}/deposit"])


def test_without_anything_written_the_contract_stays_as_it_is(bank: Contract) -> None:
    assert settle(bank, {}) == bank


def test_a_demand_is_the_same_wherever_the_spec_says_it(bank: Contract) -> None:
    moved = derive_contract(BANK.read_text().replace("# Bank\n", "# Bank\n\n\n"))
    other = derive_contract(BANK.read_text().replace('"amount": 12.5', '"cents": 12'))

    digest = demand_digest(operation(bank, DEPOSIT), bank)

    assert demand_digest(operation(moved, DEPOSIT), moved) == digest
    assert demand_digest(operation(other, DEPOSIT), other) != digest
    assert demand_digest(operation(bank, WITHDRAW), bank) != digest


def test_what_the_query_may_hold_is_known_of_a_hole() -> None:
    contract = derive_contract(
        "# svc\n\n**Port:** 8123\n\n### GET /rates?to=USD&limit=5\nThe day's rate\n"
        '```json\n{"rate": 1.5}\n```\n'
    )

    (hole,) = holes_of(contract)
    kinds = {p.name: p.shape["type"] for p in hole.parameters_in("query")}
    assert kinds == {"to": "string", "limit": "integer"}


def test_references_to_shapes_that_the_contract_lacks_allow_anything() -> None:
    hole = Operation(
        method="POST",
        path="/x",
        spec_line=1,
        name="x",
        rule="stub",
        promised={
            "type": "object",
            "properties": {"a": {"$ref": "#/components/schemas/Gone"}, "b": {"enum": ["c"]}},
        },
    )

    settled = settle(Contract(service="s", operations=(hole,)), {"x": "by hand"})

    response = settled.operations[0].response
    assert response is not None
    assert response["properties"] == {"a": {}, "b": {"enum": ["c"]}}


def test_a_body_that_names_a_record_refers_to_it() -> None:
    contract = derive_contract(
        "# desk\n\n**Port:** 8123\n\n"
        '### POST /sessions\n```json\n// Request\n{"name": "a"}\n'
        '// Response\n{"session_id": "s", "name": "a"}\n```\n'
        '### POST /session/heartbeat\n```json\n// Request\n{"session_id": "s"}\n'
        '// Response\n{"acknowledged": true}\n```\n'
    )
    (hole,) = holes_of(contract)

    written = operation(settle(contract, {hole.name: "by hand"}), hole.name)

    assert [(r.field, r.resource) for r in written.effect.references] == [
        ("session_id", "sessions")
    ]


def test_alternatives_are_followed_into_their_components() -> None:
    hole = Operation(
        method="POST",
        path="/x",
        spec_line=1,
        name="x",
        rule="stub",
        request={"anyOf": [{"$ref": "#/components/schemas/A"}, {"type": "null"}]},
        promised={"anyOf": [{"$ref": "#/components/schemas/A"}, {"type": "string"}]},
    )
    shapes: dict[str, Shape] = {"A": {"properties": {"b": {"$ref": "#/components/schemas/B"}}}}
    contract = Contract(service="s", operations=(hole,), components={**shapes, "B": {}})
    other = Contract(service="s", operations=(hole,), components={**shapes, "B": {"type": "null"}})

    assert settle(contract, {"x": "by hand"}).operations[0].response == hole.promised
    assert demand_digest(hole, contract) != demand_digest(hole, other)


def test_only_parameters_that_name_records_identify_one() -> None:
    create = Operation(
        method="POST", path="/desks", spec_line=1, name="c", rule="create", resource="desks"
    )
    path = "/desks/{desk_id}/weigh/{unit}"
    hole = Operation(method="POST", path=path, spec_line=2, name="x", rule="stub")

    settled = settle(Contract(service="s", operations=(create, hole)), {"x": "by hand"})

    assert settled.operations[1].effect.id_parameter == "desk_id"
    assert settled.operations[1].effect.parents == ()
