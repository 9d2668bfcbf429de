import re

import pytest
from pydantic import JsonValue

from build_executor.generators.compiler.samples import sample
from build_executor.spec.contract import Shape


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ({"type": "string"}, "name 3"),
        ({"type": "string", "minLength": 9}, "name 3xxx"),
        ({"type": "string", "maxLength": 2}, " 3"),
        ({"type": "string", "format": "date"}, "2026-03-04"),
        ({"type": "integer"}, 4),
        ({"type": "integer", "minimum": 7, "multipleOf": 5}, 25),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, 0.5),
        ({"type": "boolean"}, False),
        ({"type": ["null", "integer"]}, 4),
        ({"type": ["null"]}, None),
        ({"enum": [None, "a", "b"]}, "b"),
        ({"enum": [None]}, None),
        ({"anyOf": [{"type": "boolean"}, {"type": "string"}]}, False),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [4, 5]),
        ({"type": "object"}, {"key": "value 3"}),
        ({"$ref": "#/components/schemas/Pet"}, {"name": "name 3"}),
        ({}, "name 3"),
    ],
)
def test_a_sample_fits_its_shape(shape: Shape, value: JsonValue) -> None:
    components: dict[str, Shape] = {
        "Pet": {"type": "object", "properties": {"name": {"type": "string"}}}
    }

    assert sample(shape, components, 3, "name") == value


@pytest.mark.parametrize("pattern", [r"^\d{10}$", r"^[A-Z]{3}-\d{4}$", r"^#[0-9a-f]{6}$", "^EUR$"])
def test_a_sample_matches_a_usual_pattern(pattern: str) -> None:
    value = sample({"type": "string", "pattern": pattern}, {}, 3)

    assert re.search(pattern, str(value))


@pytest.mark.parametrize("pattern", ["^no such thing$", "("])
def test_for_an_unusual_pattern_the_example_is_taken(pattern: str) -> None:
    assert sample({"type": "string", "pattern": pattern, "example": "mine"}, {}, 3) == "mine"
    assert sample({"type": "string", "pattern": pattern}, {}, 3) == "value 3"


def test_a_shape_within_itself_comes_to_an_end() -> None:
    node: Shape = {"type": "object", "properties": {"child": {"$ref": "#/components/schemas/Node"}}}
    nodes: Shape = {"type": "array", "items": {"$ref": "#/components/schemas/Nodes"}}

    assert "child" in str(sample(node, {"Node": node}, 1))
    assert isinstance(sample(nodes, {"Nodes": nodes}, 1), list)
