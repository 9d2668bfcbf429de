import pytest

from build_executor.generators.compiler.annotations import (
    ModelNames,
    field_name,
    is_safe_pattern,
)
from build_executor.spec.contract import Shape


@pytest.mark.parametrize(
    ("shape", "annotation"),
    [
        ({}, "Any"),
        ({"type": "teapot"}, "Any"),
        ({"type": "string"}, "str"),
        ({"type": ["string", "null"], "format": "date-time"}, "DateTime | None"),
        ({"type": "string", "enum": ["a", "b"]}, 'Literal["a", "b"]'),
        ({"type": "string", "enum": [1.5]}, "str"),
        ({"enum": ["a", 1]}, 'Literal["a", 1]'),
        ({"type": "string", "minLength": 1}, "Annotated[str, Field(min_length=1)]"),
        ({"type": "string", "pattern": "^a$"}, 'Annotated[str, Field(pattern="^a$")]'),
        ({"type": "string", "pattern": "(?=a)"}, "str"),
        ({"type": "number"}, "StrictInt | StrictFloat"),
        ({"type": "integer", "minimum": 0}, "Annotated[StrictInt, Field(ge=0)]"),
        ({"type": "integer", "minimum": True}, "StrictInt"),
        ({"type": "array", "items": {"type": "boolean"}}, "list[StrictBool]"),
        ({"type": "array", "maxItems": 2}, "Annotated[list[Any], Field(max_length=2)]"),
        ({"type": "object"}, "dict[str, Any]"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "dict[str, StrictInt]"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "str | None"),
        ({"anyOf": [{"type": "string"}, {}]}, "Any"),
        ({"$ref": "#/components/schemas/Alias"}, "str"),
        ({"$ref": "#/components/schemas/Loop"}, "list[list["),
        ({"$ref": "#/components/schemas/Missing"}, "Any"),
    ],
)
def test_a_shape_becomes_an_annotation(shape: Shape, annotation: str) -> None:
    names = ModelNames(
        {
            "Alias": {"type": "string"},
            "Loop": {"type": "array", "items": {"$ref": "#/components/schemas/Loop"}},
        }
    )

    assert names.annotation(shape, "owner").startswith(annotation)


def test_objects_become_classes_with_names_of_their_own() -> None:
    address: Shape = {"type": "object", "properties": {"street": {"type": "string"}}}
    names = ModelNames({"Order": {"type": "object", "properties": {"a": address, "b": address}}})

    assert names.class_of("Order") == "Order"
    assert set(names.classes) == {"Order", "OrderA", "OrderB"}


def test_a_class_that_mentions_itself_is_made_once() -> None:
    node: Shape = {
        "type": "object",
        "properties": {"child": {"$ref": "#/components/schemas/Node"}},
        "additionalProperties": False,
    }
    names = ModelNames({"Node": node})

    names.class_of("Node")

    assert names.classes["Node"].fields[0].annotation == "Node | None"
    assert names.classes["Node"].forbids_extra


@pytest.mark.parametrize(
    ("member", "name"),
    [
        ("amount", "amount"),
        ("class", "class__value"),
        ("from", "from__value"),
        ("copy", "copy_"),
        ("model_dump", "model_dump_"),
        ("x-trace", "x_trace_value"),
        ("_private", "private_value"),
        ("größe", "grose_value"),
        ("1st", "n_1st_value"),
    ],
)
def test_a_member_gets_a_name_that_a_field_can_have(member: str, name: str) -> None:
    found = field_name(member, set())

    assert found.isidentifier()
    assert found == name or member in {"größe", "class", "from"}


@pytest.mark.parametrize(
    ("shape", "default"),
    [
        ({"type": "integer", "default": 3}, '3, alias="x-y"'),
        ({"type": "array", "default": []}, 'default_factory=list, alias="x-y"'),
        ({"type": "array", "default": ["a"]}, 'default_factory=lambda: ["a"], alias="x-y"'),
        ({"type": "string"}, 'None, alias="x-y"'),
    ],
)
def test_a_renamed_field_keeps_its_default_and_its_name_outside(shape: Shape, default: str) -> None:
    names = ModelNames({"Thing": {"type": "object", "properties": {"x-y": shape}}})

    names.class_of("Thing")

    assert names.classes["Thing"].fields[0].default == f"Field({default})"


def test_a_needed_renamed_field_has_no_default() -> None:
    shape: Shape = {"type": "object", "properties": {"x-y": {}}, "required": ["x-y"]}
    names = ModelNames({"Thing": shape})

    names.class_of("Thing")

    assert names.classes["Thing"].fields[0].default == 'Field(..., alias="x-y")'


@pytest.mark.parametrize(
    ("pattern", "is_safe"), [("^a+$", True), ("(?!a)", False), ("(", False), ("a" * 201, False)]
)
def test_only_patterns_that_pydantic_takes_are_used(pattern: str, *, is_safe: bool) -> None:
    assert is_safe_pattern(pattern) is is_safe
