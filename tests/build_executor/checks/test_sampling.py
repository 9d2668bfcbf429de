import uuid

import pytest
from pydantic import JsonValue

from build_executor.checks.sampling import faults, sample, sample_body
from build_executor.spec.contract import Contract, Operation, Resource, Shape

CONTRACT = Contract(
    service="shop",
    components={"Money": {"type": "integer", "minimum": 5}},
    resources=(
        Resource(name="users", singular="user", id_field="id", unique=("email", "age"), line=1),
    ),
)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"const": "x"}, "x"),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": "string", "default": "d"}, "d"),
        ({"type": "string", "examples": ["e"]}, "e"),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        ({"$ref": "#/components/schemas/Money"}, 6),
        ({"type": ["integer", "null"], "maximum": 0}, 0),
        ({"type": "number"}, 1),
        ({"type": "null"}, "sample"),
        ({"type": "string", "minLength": 8}, "samplexx"),
        ({"type": "string", "maxLength": 3}, "sam"),
        ({"type": "string", "pattern": "^[0-9]{3}$"}, "000"),
        ({"type": "string", "pattern": "("}, "sample"),
        ({"type": "string", "format": "date"}, "2026-01-02"),
        ({"type": "array"}, []),
        ({"type": "array", "minItems": 1, "items": {"type": "boolean"}}, [True]),
        ({"properties": {"a": {}, "b": {}}, "required": ["a"]}, {"a": "sample"}),
        ({}, "sample"),
    ],
)
def test_a_sample_is_the_simplest_value_of_its_shape(shape: Shape, expected: JsonValue) -> None:
    assert sample(shape, CONTRACT) == expected


def test_a_shape_that_contains_itself_ends() -> None:
    tree: Shape = {"properties": {"t": {"$ref": "#/components/schemas/Tree"}}, "required": ["t"]}
    contract = CONTRACT.model_copy(update={"components": {"Tree": tree}})

    assert isinstance(sample(tree, contract), dict)


def operation(example: JsonValue, **fields: Shape) -> Operation:
    shape: Shape = {"type": "object", "properties": dict(fields), "required": list(fields)}
    return Operation(
        method="POST",
        path="/users",
        rule="create",
        resource="users",
        spec_line=1,
        name="create_user",
        request=shape,
        request_example=example,
    )


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        ("a@b.org", "v3.a@b.org"),
        ("ann", "ann-3"),
        (7, 10),
        (None, None),
    ],
)
def test_what_must_be_unique_differs_each_time(example: JsonValue, expected: JsonValue) -> None:
    made = sample_body(operation({"email": example, "name": "Ann"}, email={}), CONTRACT, 3)

    assert isinstance(made, dict)
    assert (made["name"], made["email"]) == ("Ann", expected)


@pytest.mark.parametrize(
    ("pattern", "example", "expected"),
    [
        ("^[0-9]{3}$", "123", "003"),
        ("^A-[0-9]{2}-[0-9]$", "A-12-3", "A-00-3"),
        ("^[a-z]+$", "abc", "abc"),
        ("^[a-z0-9-]+$", "abc", "abc-3"),
    ],
)
def test_what_must_be_unique_still_fits_its_pattern(
    pattern: str, example: str, expected: str
) -> None:
    made = sample_body(operation({"email": example}, email={"pattern": pattern}), CONTRACT, 3)

    assert made == {"email": expected}


def test_a_unique_uuid_stays_a_uuid() -> None:
    example = "6f1c2a34-0000-4000-8000-000000000001"

    made = sample_body(operation({"email": example}, email={}), CONTRACT, 3)

    assert isinstance(made, dict)
    assert uuid.UUID(str(made["email"])) != uuid.UUID(example)


def test_an_example_that_does_not_fit_is_replaced_field_by_field() -> None:
    made = sample_body(
        operation({"name": "Ann", "born": "some day"}, name={}, born={"type": "integer"}),
        CONTRACT,
        0,
    )

    assert made == {"name": "Ann", "born": 1}


def test_without_an_example_the_shape_is_enough() -> None:
    assert sample_body(operation(None, name={"type": "string"}), CONTRACT, 0) == {"name": "sample"}


def test_an_example_of_another_kind_is_taken_as_it_is() -> None:
    assert sample_body(operation(["a", "b"], name={}), CONTRACT, 0) == ["a", "b"]


def test_without_a_body_none_is_made() -> None:
    bare = operation(None).model_copy(update={"request": None})

    assert sample_body(bare, CONTRACT, 0) is None


def test_faults_name_the_place_and_the_reason() -> None:
    shape: Shape = {"properties": {"at": {"type": "string", "format": "date-time"}, "n": {}}}

    assert faults({"at": "2026-01-02T03:04:05Z"}, shape, CONTRACT) == []
    assert faults({"at": 5}, shape, CONTRACT) == ["$.at: 5 is not of type 'string'"]
    assert faults({"at": "soon"}, shape, CONTRACT) == ["$.at: 'soon' is not a 'date-time'"]
