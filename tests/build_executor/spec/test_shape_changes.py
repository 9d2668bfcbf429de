import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from build_executor.spec.contract import Shape
from build_executor.spec.shape_changes import (
    Difference,
    Direction,
    Versions,
    shape_differences,
)

TEXT: Shape = {"type": "string"}
COUNT: Shape = {"type": "integer"}
NOBODY = Versions({}, {})


def thing(required: tuple[str, ...] = (), **fields: Shape) -> Shape:
    return {"type": "object", "properties": {**fields}, "required": [*required]}


def many(items: Shape) -> Shape:
    return {"type": "array", "items": items}


def request(old: Shape, new: Shape, components: Versions = NOBODY) -> list[tuple[str, str, str]]:
    return told(shape_differences(old, new, Direction.REQUEST, components))


def answer(old: Shape, new: Shape, components: Versions = NOBODY) -> list[tuple[str, str, str]]:
    return told(shape_differences(old, new, Direction.RESPONSE, components))


def told(differences: tuple[Difference, ...]) -> list[tuple[str, str, str]]:
    return [(found.problem.value, found.path, found.detail) for found in differences]


def breaks(old: Shape, new: Shape, direction: Direction) -> bool:
    return any(found.breaking for found in shape_differences(old, new, direction, NOBODY))


# -- what callers send


def test_a_request_may_have_a_further_field_that_can_be_left_out() -> None:
    assert request(thing(a=TEXT), thing(a=TEXT, b=COUNT)) == [("added", "b", "")]


def test_a_request_must_not_need_a_field_that_could_be_left_out() -> None:
    assert request(thing(a=TEXT), thing(("a",), a=TEXT)) == [("required", "a", "")]
    assert request(thing(), thing(("b",), b=TEXT)) == [("required", "b", "")]


def test_a_request_field_that_is_no_longer_known_is_ignored_or_refused() -> None:
    assert request(thing(("a",), a=TEXT), {"type": "object"}) == []  # which takes every field
    assert request(thing(a=TEXT, b=TEXT), thing(b=TEXT)) == [("gone", "a", "")]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (TEXT, COUNT, ("type", "", "from string to integer")),
        (COUNT, {"type": "number"}, None),
        ({"type": "number"}, COUNT, ("type", "", "from number to integer")),
        ({}, TEXT, ("type", "", "from any value to string")),
        (TEXT, {}, None),
        ({"type": ["string", "null"]}, TEXT, ("null", "", "")),
        (TEXT, {"type": ["string", "null"]}, None),
        ({"type": ["string", "integer"]}, TEXT, ("type", "", "from integer to string")),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, ("values", "", '"b"')),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, None),
        ({"enum": ["a"]}, TEXT, None),
        ({"enum": ["a", None]}, {"type": "string", "enum": ["a"]}, ("null", "", "")),
        (TEXT, {"type": "string", "enum": ["a"]}, ("values", "", "other values")),
        (TEXT, {"type": "string", "minLength": 1}, ("limit", "", "minLength 1")),
        ({"type": "string", "minLength": 2}, {"type": "string", "minLength": 1}, None),
        ({"maximum": 10}, {"maximum": 5}, ("limit", "", "maximum 5")),
        ({"maximum": 5}, {"maximum": 10}, None),
        ({"maximum": 5}, {"exclusiveMaximum": 5}, ("limit", "", "maximum 5")),
        ({"exclusiveMinimum": 0}, {"minimum": 0}, None),
        ({"minimum": True}, {"minimum": True}, None),
        (TEXT, {"type": "string", "format": "date"}, ("unclear", "", "format")),
        ({"type": "string", "format": "date"}, TEXT, None),
        ({"oneOf": [TEXT]}, {"oneOf": [TEXT]}, None),
        ({"anyOf": []}, {"anyOf": []}, None),
        (TEXT, {"anyOf": []}, ("unclear", "", "type")),
        ({"type": ["string", "null"], "minLength": 1}, {"anyOf": [TEXT, {"type": "null"}]}, None),
        ({"type": "null"}, {"type": "null", "enum": ["a"]}, ("values", "", "other values")),
        ({"type": ["null"]}, {"type": ["null"], "enum": ["a"]}, ("values", "", "other values")),
    ],
)
def test_what_was_taken_has_to_be_taken_still(
    old: Shape, new: Shape, problem: tuple[str, str, str] | None
) -> None:
    assert request(old, new) == ([problem] if problem else [])


def test_a_request_that_was_open_must_not_be_closed() -> None:
    closed: Shape = {**thing(a=TEXT), "additionalProperties": False}

    assert request(thing(a=TEXT), closed) == [("unclear", "", "additionalProperties")]
    assert request(closed, closed) == []
    assert answer(thing(a=TEXT), closed) == []


def test_the_values_of_a_map_are_compared_too() -> None:
    texts: Shape = {"type": "object", "additionalProperties": TEXT}
    counts: Shape = {"type": "object", "additionalProperties": COUNT}
    anything: Shape = {"type": "object"}

    assert request(texts, counts) == [("type", "*", "from string to integer")]
    assert request(texts, anything) == []
    assert request(anything, texts) == [("type", "*", "from any value to string")]
    assert request(texts, thing(a=COUNT)) == [("type", "a", "from string to integer")]


# -- what callers are answered


def test_an_answer_may_have_a_further_field() -> None:
    assert answer(thing(a=TEXT), thing(a=TEXT, b=TEXT)) == [("added", "b", "")]


def test_an_answer_must_not_lose_a_field() -> None:
    assert answer(thing(a=TEXT, b=TEXT), thing(b=TEXT)) == [("gone", "a", "")]
    assert answer(thing(("a",), a=TEXT, b=TEXT), thing(b=TEXT)) == [("gone", "a", "")]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (thing(("a",), a=TEXT), thing(a=TEXT), ("required", "a", "")),
        (thing(a=TEXT), thing(("a",), a=TEXT), None),
        (thing(a=TEXT), thing(a={"type": ["string", "null"]}), ("null", "a", "")),
        (thing(a={"type": ["string", "null"]}), thing(a=TEXT), None),
        (thing(a={"enum": ["x"]}), thing(a={"enum": ["x", "y"]}), ("values", "a", '"y"')),
        (thing(a=COUNT), thing(a={"type": "number"}), ("type", "a", "from integer to number")),
        (thing(a=COUNT), thing(a={}), ("type", "a", "from integer to any value")),
        (many(TEXT), many(COUNT), ("type", "[]", "from string to integer")),
        (many(TEXT), {"type": "array"}, ("type", "[]", "from string to any value")),
        (thing(a=many(thing(b=TEXT))), thing(a=many(thing(c=TEXT))), ("gone", "a[].b", "")),
    ],
)
def test_what_is_answered_has_to_be_what_was_answered(
    old: Shape, new: Shape, problem: tuple[str, str, str] | None
) -> None:
    assert [found for found in answer(old, new) if found[0] != "added"] == (
        [problem] if problem else []
    )


def test_the_alternative_of_the_same_type_is_the_one_that_changed() -> None:
    old: Shape = {"anyOf": [thing(("a", "b"), a=TEXT, b=TEXT), {"type": "null"}]}
    new: Shape = {"anyOf": [thing(a=TEXT, b=TEXT), {"type": "null"}]}

    assert answer(old, new) == [("required", "a", ""), ("required", "b", "")]


# -- shapes with names


def reference(name: str) -> Shape:
    return {"$ref": f"#/components/schemas/{name}"}


def test_a_shape_that_has_a_name_is_the_shape_itself() -> None:
    components = Versions({"Pet": thing(a=TEXT)}, {})

    assert answer(reference("Pet"), thing(a=TEXT), components) == []


def test_a_shape_that_holds_itself_is_compared_once() -> None:
    old = {"Pet": thing(mother=reference("Pet"), name=TEXT)}
    new = {"Pet": thing(mother=reference("Pet"), name=COUNT)}

    assert answer(reference("Pet"), reference("Pet"), Versions(old, old)) == []
    assert answer(reference("Pet"), reference("Pet"), Versions(old, new)) == [
        ("type", "name", "from string to integer")
    ]


def test_a_name_that_is_nothing_but_itself_is_left_undecided() -> None:
    components: dict[str, Shape] = {"A": {"anyOf": [reference("A")]}}

    assert answer(reference("A"), reference("A"), Versions(components, components)) == []


def test_words_that_are_not_understood_are_the_same_only_with_the_same_names() -> None:
    shape: Shape = {"oneOf": [reference("Pet")]}
    old, new = {"Pet": thing(a=TEXT)}, {"Pet": thing(a=COUNT)}

    assert answer(shape, shape, Versions(old, old)) == []
    assert answer(shape, shape, Versions(old, new)) == [("unclear", "", "oneOf")]


# -- properties

scalars: st.SearchStrategy[Shape] = st.one_of(
    st.sampled_from([{}, TEXT, COUNT, {"type": "number"}, {"type": "null"}, {"type": "boolean"}]),
    st.sets(st.sampled_from(["string", "integer", "null"]), min_size=1).map(
        lambda kinds: {"type": sorted(kinds)}
    ),
    st.sets(st.sampled_from(["a", "b", 1, None]), min_size=1).map(lambda some: {"enum": [*some]}),
    st.integers(0, 3).map(lambda least: {"type": "string", "minLength": least}),
    st.integers(0, 3).map(lambda most: {"type": "integer", "maximum": most}),
    st.integers(0, 3).map(lambda least: {"type": "integer", "exclusiveMinimum": least}),
)


def objects(inner: st.SearchStrategy[Shape]) -> st.SearchStrategy[Shape]:
    fields = st.dictionaries(st.sampled_from("abc"), inner, min_size=1)

    def with_needs(shapes: dict[str, Shape]) -> st.SearchStrategy[Shape]:
        return st.sets(st.sampled_from(sorted(shapes))).map(
            lambda needed: {
                "type": "object",
                "properties": {**shapes},
                "required": [*sorted(needed)],
            }
        )

    return fields.flatmap(with_needs)


shapes: st.SearchStrategy[Shape] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        objects(inner),
        inner.map(lambda items: {"type": "array", "items": items}),
        st.lists(inner, min_size=1, max_size=2).map(lambda options: {"anyOf": [*options]}),
    ),
    max_leaves=4,
)


def values_of(shape: Shape) -> st.SearchStrategy[JsonValue]:
    """Values with the fields that the shape names, not all of them of the right type."""
    match shape:
        case {"anyOf": [*options]}:
            return st.one_of([values_of(option) for option in options])  # type: ignore[arg-type]
        case {"items": items}:
            return st.lists(values_of(items), max_size=2)  # type: ignore[arg-type]
        case {"properties": dict() as fields}:
            optional = {name: values_of(field) for name, field in fields.items()}
            return st.fixed_dictionaries({}, optional=optional)
    return st.sampled_from([None, True, "", "a", "ab", "abc", "b", 0, 1, 2, 3, 4, 1.5, [], {}])


@given(shapes)
def test_every_shape_is_compatible_with_itself(shape: Shape) -> None:
    for direction in Direction:
        assert shape_differences(shape, shape, direction, NOBODY) == ()


@given(objects(shapes), shapes, st.sampled_from(Direction))
def test_a_field_that_may_be_left_out_is_no_breaking_addition(
    shape: Shape, field: Shape, direction: Direction
) -> None:
    larger = {**shape, "properties": {**shape["properties"], "z": field}}  # type: ignore[dict-item]

    assert told(shape_differences(shape, larger, direction, NOBODY)) == [("added", "z", "")]
    assert breaks(larger, shape, direction)


related = shapes.flatmap(
    lambda shape: st.tuples(
        st.just(shape),
        st.one_of(shapes, shapes.map(lambda other: {"anyOf": [other, shape]})),
    )
)


@given(st.data(), related)
def test_no_value_that_was_taken_is_refused_without_a_difference(
    data: st.DataObject, pair: tuple[Shape, Shape]
) -> None:
    old, new = pair

    if not breaks(old, new, Direction.REQUEST):
        for value in data.draw(st.lists(values_of(old), min_size=10)):
            assert is_valid(value, new) or not is_valid(value, old)


@given(st.data(), related)
def test_no_value_that_is_answered_is_new_without_a_difference(
    data: st.DataObject, pair: tuple[Shape, Shape]
) -> None:
    new, old = pair

    if not breaks(old, new, Direction.RESPONSE):
        for value in data.draw(st.lists(values_of(new), min_size=10)):
            assert is_valid(value, old) or not is_valid(value, new)


def is_valid(value: JsonValue, shape: Shape) -> bool:
    return bool(jsonschema.Draft202012Validator(shape).is_valid(value))
