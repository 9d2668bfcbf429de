import pytest

from build_executor.spec.contract import Shape
from build_executor.spec.statements import Statement, read_statement, refine


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("integer between 1 and 5, default 3", {"type": "integer", "minimum": 1, "maximum": 5}),
        ("string, 1 to 80 characters", {"type": "string", "minLength": 1, "maxLength": 80}),
        ("1-5 items", {"minItems": 1, "maxItems": 5}),
        ("array, at least 2", {"type": "array", "minItems": 2}),
        ("number, at most 9.5", {"type": "number", "maximum": 9.5}),
        ("max length of 20", {"maxLength": 20}),
        ("integer > 0", {"type": "integer", "exclusiveMinimum": 0}),
        ("float, less than 1", {"type": "number", "exclusiveMaximum": 1}),
        ("positive number", {"type": "number", "exclusiveMinimum": 0}),
        ("non-negative integer", {"type": "integer", "minimum": 0}),
        ("one of email, push or sms", {"type": "string", "enum": ["email", "push", "sms"]}),
        ("one of `red` - warm -, `blue` - cold", {"type": "string", "enum": ["red", "blue"]}),
        ("one of those that are left over", {}),
        ("what the weather is like from 2019 to 2020", {}),
        ("date", {"type": "string", "format": "date"}),
    ],
)
def test_a_sentence_sets_the_bounds_of_a_field(text: str, shape: Shape) -> None:
    found = dict(read_statement(text).shape)
    found.pop("default", None)

    assert found == shape


@pytest.mark.parametrize(
    ("text", "default"),
    [
        ("integer, default 3", 3),
        ("boolean, defaults to True", True),
        ("string, default: 7", "7"),
        ("default `fast`.", "fast"),
        ("default none", None),
    ],
)
def test_a_default_is_a_value_of_its_type(text: str, default: object) -> None:
    assert read_statement(text).shape.get("default") == default


def test_needs_are_read() -> None:
    assert read_statement("required, unique") == Statement(required=True, unique=True)
    assert read_statement("not required") == Statement(optional=True)
    assert not read_statement("whatever it takes").says_something


def test_a_statement_refines_a_field_at_any_depth() -> None:
    inner: Shape = {"type": "object", "properties": {"text": {"type": "string"}, "odd": True}}
    shape: Shape = {"type": "object", "properties": {"a": inner}}

    changed = refine(shape, "a.text", {"type": "integer", "minimum": 1, "maximum": 5})
    odd = refine(inner, "odd", {"minimum": 1})

    assert changed["properties"] == {
        "a": {
            "type": "object",
            "properties": {
                "text": {"type": "integer", "minLength": 1, "maxLength": 5},
                "odd": True,
            },
        }
    }
    assert odd["properties"] == {"text": {"type": "string"}, "odd": {"minimum": 1}}
    assert refine(shape, "b", {"minimum": 1}) == shape
    assert refine({}, "b", {"minimum": 1}) == {}


def test_a_format_outlives_a_stated_type() -> None:
    shape: Shape = {"properties": {"at": {"type": "string", "format": "date-time"}}}

    assert refine(shape, "at", {"type": "string"}) == shape
