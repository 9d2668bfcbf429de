from pathlib import Path

import pytest

from build_executor.spec.compatibility import Change, compare_contracts
from build_executor.spec.contract import Contract, Effect, Operation, Parameter, Shape
from build_executor.spec.derivation import derive_contract

EXAMPLE = Path(__file__).parents[3] / "examples" / "payment-processor" / "SPEC.md"
TEXT: Shape = {"type": "string"}
PET: Shape = {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}
ANY_PET: Shape = {"type": "object", "properties": {"name": TEXT}}
NO_PET: Shape = {"type": "object", "properties": {}}
NUMBER: Shape = {"type": "integer"}


def contract(*operations: Operation, **fields: object) -> Contract:
    return Contract.model_validate({"service": "shop", "operations": operations, **fields})


def operation(label: str = "POST /pets", **fields: object) -> Operation:
    method, path = label.split()
    known = {"method": method, "path": path, "spec_line": 7, "name": "pets", "rule": "create"}
    return Operation.model_validate(known | fields)


def changes(old: Operation, new: Operation) -> list[tuple[str, bool]]:
    return told(compare_contracts(contract(old), contract(new)))


def told(found: tuple[Change, ...]) -> list[tuple[str, bool]]:
    return [(change.message, change.breaking) for change in found]


def parameter(name: str = "limit", location: str = "query", **fields: object) -> Operation:
    known = {"name": name, "location": location}
    return operation(parameters=(Parameter.model_validate(known | fields),))


def test_a_contract_is_compatible_with_itself() -> None:
    example = derive_contract(EXAMPLE.read_text(encoding="utf-8"))

    assert compare_contracts(example, example) == ()


def test_a_real_spec_that_loses_an_endpoint_and_a_field_breaks_its_callers() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    old = derive_contract(text)
    fewer = tuple(o for o in old.operations if o.label != "GET /payments/stats")
    new = old.model_copy(update={"operations": fewer})

    (change,) = compare_contracts(old, new)

    assert change.operation == "GET /payments/stats"
    assert change.breaking
    assert str(change).startswith("GET /payments/stats: is no longer there (was line ")


def test_a_new_operation_breaks_nobody() -> None:
    old, new = contract(), contract(operation("GET /pets"))

    assert told(compare_contracts(old, new)) == [("is new", False)]
    assert told(compare_contracts(new, old)) == [("is no longer there", True)]


def test_an_operation_that_was_never_implemented_is_not_missed() -> None:
    stub = operation("GET /pets", rule="stub")

    assert told(compare_contracts(contract(stub), contract())) == [("is no longer there", False)]
    assert changes(stub, operation("GET /pets", rule="list")) == [("is implemented now", False)]
    assert changes(stub, stub) == []
    assert changes(operation(), operation(rule="stub")) == [
        ("is not implemented any more: answers 501", True)
    ]


def test_the_name_of_a_path_parameter_is_nobodys_business() -> None:
    shape = NUMBER
    before = Parameter(name="pet_id", location="path", required=True, shape=shape)
    old = operation("GET /pets/{pet_id}", parameters=(before,))
    new = operation("GET /pets/{id}", parameters=(before.model_copy(update={"name": "id"}),))

    assert changes(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (operation(success_status=200), operation(success_status=201), "answers 201, was 200"),
        (operation(), operation(media_type="text/csv"), "takes `text/csv`, was `application/json`"),
        (operation(), operation(secured=True), "needs a token now"),
        (operation(), operation(owned=True), "concerns only what the caller made now"),
        (parameter(), operation(), "no longer takes the query parameter `limit`"),
        (operation(), parameter(required=True), "query parameter `limit` is required now"),
        (parameter(), parameter(required=True), "query parameter `limit` is required now"),
        (
            parameter(),
            parameter(shape=NUMBER),
            "the type of query parameter `limit` changed from string to integer",
        ),
        (operation(request=PET), operation(), "no longer takes a body"),
        (operation(), operation(request=PET), "needs a body now"),
        (operation(request=ANY_PET), operation(request=PET), "`name` is required now"),
        (
            operation(request=TEXT),
            operation(request=NUMBER),
            "the type of the body changed from string to integer",
        ),
        (operation(response=PET), operation(), "no longer answers with a body"),
        (operation(response=PET), operation(response=ANY_PET), "`name` may be missing now"),
        (operation(response=PET), operation(response=NO_PET), "no longer answers `name`"),
        (
            operation(),
            operation(effect=Effect(refused_from=("sold",))),
            "is refused now in the state `sold`",
        ),
        (
            operation(),
            operation(effect=Effect(allowed_from=("new",))),
            "is refused now in other states than `new`",
        ),
        (
            operation(effect=Effect(allowed_from=("a", "b"))),
            operation(effect=Effect(allowed_from=("b",))),
            "is refused now in the state `a`",
        ),
    ],
)
def test_what_callers_cannot_rely_on_any_more_breaks_them(
    old: Operation, new: Operation, message: str
) -> None:
    assert changes(old, new) == [(message, True)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (operation(secured=True), operation(), "no longer needs a token"),
        (operation(), parameter(), "takes the query parameter `limit` too"),
        (parameter("X-A", "header"), parameter("X-a", "header"), None),
        (parameter(shape=NUMBER), parameter(shape=TEXT), None),
        (
            parameter(),
            parameter(shape={**TEXT, "default": "x"}),
            "without `limit`, x is meant; it was nothing",
        ),
        (
            operation(rule="transition"),
            operation(rule="transition", request=ANY_PET),
            "takes a body too",
        ),
        (operation(request=PET), operation(request=ANY_PET), None),
        (operation(), operation(response=PET), None),
        (
            operation(effect=Effect(allowed_from=("a",))),
            operation(effect=Effect(allowed_from=("a", "b"))),
            None,
        ),
    ],
)
def test_what_only_becomes_possible_breaks_nobody(
    old: Operation, new: Operation, message: str | None
) -> None:
    assert changes(old, new) == ([(message, False)] if message else [])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ({"port": 80}, {"port": 81}, "answers at port 81, no longer at port 80"),
        ({}, {"port": 81}, "answers at port 81, no longer at whichever port it was given"),
        ({"port": 80}, {}, None),
        ({"base_path": "/v1"}, {"base_path": "/v2"}, "no longer answers below `/v1`"),
        ({}, {"base_path": "/v2"}, None),
        ({}, {"invalid_status": 400}, "refuses invalid requests with 400, was 422"),
    ],
)
def test_a_service_stays_where_and_how_it_was(
    old: dict[str, object], new: dict[str, object], message: str | None
) -> None:
    found = compare_contracts(contract(**old), contract(**new))

    assert told(found) == ([(message, True)] if message else [])


def test_a_change_names_its_lines() -> None:
    old, new = operation(spec_line=7), operation(spec_line=9, secured=True)

    (change,) = compare_contracts(contract(old), contract(new))

    assert str(change) == "POST /pets: needs a token now (SPEC line 9, was line 7)"
    assert str(Change(message="moved", breaking=True)) == "moved"
