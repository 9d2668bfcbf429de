"""Shapes (JSON Schema) inferred from examples, and combined."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from pydantic import JsonValue

from build_executor.spec.contract import Shape
from build_executor.spec.json_reader import Hint, Node

_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?|YYYY-MM-DD[T ]HH:MM.*"
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d|YYYY-MM-DD")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_INSTANT_NAME = re.compile(r".*_(at|time)$|^(timestamp|datetime|last_(seen|restart|activity))$")
_MAP_SIZE = 3
_DEEPEST = 30


def infer(node: Node, name: str = "", depth: int = 0) -> Shape:
    """The shape of an example's value; `name` is the key it stands under."""
    if isinstance(node, Hint):
        return dict(node.shape)
    if node is None or depth > _DEEPEST:
        return {}
    if isinstance(node, dict):
        return _object(node, depth)
    if isinstance(node, list):
        return {"type": "array", "items": union(infer(item, name, depth + 1) for item in node)}
    return _scalar(node, name)


def _scalar(value: JsonValue, name: str) -> Shape:
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "integer"}
    if isinstance(value, float):
        return {"type": "number"}
    return _text(str(value), name)


def _text(text: str, name: str) -> Shape:
    if _INSTANT.fullmatch(text) and not _is_duration(name):
        return {"type": "string", "format": "date-time"}
    if _DATE.fullmatch(text):
        return {"type": "string", "format": "date"}
    if _EMAIL.fullmatch(text) and "email" in name.lower():
        return {"type": "string", "format": "email"}
    return {"type": "string"}


def _is_duration(name: str) -> bool:
    return "duration" in name


def _object(node: Mapping[str, Node], depth: int) -> Shape:
    shapes = {key: infer(value, key, depth + 1) for key, value in node.items()}
    if _is_map(list(node.values()), list(shapes.values())):
        return {"type": "object", "additionalProperties": union(shapes.values())}
    return object_of(shapes)


def _is_map(values: list[Node], shapes: list[Shape]) -> bool:
    """Three or more objects of overlapping shape are entries of one kind, not fields."""
    if len(values) < _MAP_SIZE or not all(isinstance(value, dict) and value for value in values):
        return False
    names = [set(properties(shape)) for shape in shapes]
    return bool(set.intersection(*names)) if all(names) else False


def object_of(shapes: Mapping[str, Shape], required: Iterable[str] = ()) -> Shape:
    """An object with these fields."""
    shape: Shape = {"type": "object", "properties": cast("dict[str, JsonValue]", dict(shapes))}
    needed = [name for name in shapes if name in set(required)]
    return {**shape, "required": cast("list[JsonValue]", needed)} if needed else shape


def properties(shape: Shape | None) -> dict[str, Shape]:
    """The fields of an object's shape; of an array's shape, those of its items."""
    if not shape:
        return {}
    if shape.get("type") == "array":
        return properties(cast("Shape", shape.get("items") or {}))
    return cast("dict[str, Shape]", shape.get("properties") or {})


def required(shape: Shape | None) -> list[str]:
    """The names of the fields that must be there."""
    return cast("list[str]", (shape or {}).get("required") or [])


def is_array(shape: Shape | None) -> bool:
    """Whether the shape is a list."""
    return bool(shape) and (shape or {}).get("type") == "array"


def is_type(shape: Shape | None, *names: str) -> bool:
    """Whether the shape is one of these types, null aside."""
    kind = (shape or {}).get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    return any(name in names for name in kinds if name != "null")


def nullable(shape: Shape) -> Shape:
    """The shape, or null."""
    kind = shape.get("type")
    if not shape or kind is None:
        return shape if not shape or "anyOf" not in shape else _or_null(shape)
    if isinstance(kind, list):
        return shape if "null" in kind else {**shape, "type": [*kind, "null"]}
    if "enum" in shape:
        values = cast("list[JsonValue]", shape["enum"])
        return {
            **shape,
            "type": [kind, "null"],
            "enum": [*values, *([] if None in values else [None])],
        }
    return {**shape, "type": [kind, "null"]}


def _or_null(shape: Shape) -> Shape:
    options = cast("list[JsonValue]", shape["anyOf"])
    return {**shape, "anyOf": [*options, {"type": "null"}]}


def union(shapes: Iterable[Shape]) -> Shape:
    """One shape that covers all of these; an empty one says nothing and yields."""
    result: Shape = {}
    for shape in shapes:
        result = merge(result, shape)
    return result


def merge(first: Shape, second: Shape) -> Shape:
    """A shape that covers both; what cannot be covered becomes any value."""
    if not first or not second or first == second:
        return first or second
    kinds = {str(first.get("type")), str(second.get("type"))}
    if kinds == {"integer", "number"}:
        return {"type": "number"}
    if kinds == {"object"}:
        return _merged_objects(first, second)
    if kinds == {"array"}:
        items = merge(
            cast("Shape", first.get("items") or {}), cast("Shape", second.get("items") or {})
        )
        return {"type": "array", "items": items}
    if kinds == {"string"}:
        leading, other = (
            (first, second) if "enum" in first or "format" in first else (second, first)
        )
        return {**{word: other[word] for word in BOUNDS if word in other}, **leading}
    return {**second, **first} if len(kinds) == 1 else {}


BOUNDS = (
    *("minLength", "maxLength", "pattern", "minItems", "maxItems", "multipleOf"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
)


def unbounded(shape: Shape) -> Shape:
    """The shape as it is answered: limits were checked on the way in; what was not sent is null."""
    plain = {word: value for word, value in shape.items() if word not in BOUNDS}
    inner, needed = plain.get("properties"), required(plain)
    if isinstance(inner, dict):
        shapes = {name: unbounded(cast("Shape", field)) for name, field in inner.items()}
        plain["properties"] = {n: s if n in needed else nullable(s) for n, s in shapes.items()}
    for word in ("items", "additionalProperties"):
        if isinstance(every := plain.get(word), dict):
            plain[word] = unbounded(every)
    return plain


def _merged_objects(first: Shape, second: Shape) -> Shape:
    if "additionalProperties" in first or "additionalProperties" in second:
        return first if "additionalProperties" in first else second
    one, two = properties(first), properties(second)
    both = {name: merge(one.get(name, {}), two.get(name, {})) for name in [*one, *two]}
    needed = [name for name in required(first) if name in required(second)]
    return object_of(both, needed) if both else {"type": "object"}


def resolved(shape: Shape, components: Mapping[str, Shape]) -> Shape:
    """The component that a shape refers to; the shape itself if it refers to none."""
    name = str(shape.get("$ref", "")).rsplit("/", 1)[-1]
    return components.get(name, shape)


def references_in(shape: JsonValue) -> Iterator[str]:
    """The names of the components that a shape refers to."""
    if isinstance(shape, dict):
        reference = shape.get("$ref")
        if isinstance(reference, str):
            yield reference.rsplit("/", 1)[-1]
        for value in shape.values():
            yield from references_in(value)
    elif isinstance(shape, list):
        for value in shape:
            yield from references_in(value)


def is_instant_name(name: str) -> bool:
    """Whether a field of this name holds a point in time."""
    return bool(_INSTANT_NAME.match(name)) and not _is_duration(name)


def guess(name: str) -> Shape:
    """The shape of a field that only its name is known of."""
    lowered = snake_words(name)
    if is_instant_name(name):
        return {"type": "string", "format": "date-time"}
    for pattern, shape in _BY_NAME:
        if pattern.search(lowered):
            return dict(shape)
    return {}


def snake_words(name: str) -> str:
    """The name with `_` before and after each word."""
    return f"_{name.lower()}_"


_BY_NAME: tuple[tuple[re.Pattern[str], Shape], ...] = (
    (
        re.compile(r"_(metadata|payload|environment_vars|env|config|options|context)_$"),
        {"type": "object"},
    ),
    (re.compile(r"_(is|has|auto|enabled|approved|dry_run|force|quick)_"), {"type": "boolean"}),
    (
        re.compile(r"_(port|count|limit|max|min|total|number|retries|quantity)_"),
        {"type": "integer"},
    ),
    (
        re.compile(r"_(amount|price|score|percent|percentage|ratio|cost|balance)_$"),
        {"type": "number"},
    ),
    (
        re.compile(
            r"_(id|name|path|title|status|type|method|mode|url|email|text|content|description|message|notes|reason|query|source|target|version|prompt)_$"
        ),
        {"type": "string"},
    ),
    (re.compile(r"_(tags|items|services|features|capabilities)_$"), {"type": "array", "items": {}}),
)
