"""Values that fit a shape and differ by a number: what tests send."""

import re
from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue

from build_executor.spec.contract import Shape
from build_executor.spec.shapes import resolved

_DEEPEST = 6
_FORMATS = {
    "date-time": "2026-03-{day:02}T09:00:00Z",
    "date": "2026-03-{day:02}",
    "time": "09:00:{day:02}Z",
    "email": "person{number}@example.org",
    "uuid": "6f1c2a34-5b6d-4e7f-8a9b-{number:012d}",
    "uri": "https://example.org/{number}",
    "url": "https://example.org/{number}",
}
_CANDIDATES = (
    "{name}{number}",
    "{number:03d}",
    "{number:05d}",
    "{number:010d}",
    "{number:016d}",
    "A{number:03d}",
    "ABC-{number:04d}",
    "ABC{number:04d}",
    "+4912345{number:04d}",
    "#{number:06d}",
    "{number:06x}",
    "{number:032x}",
    "{number:064x}",
    "12:{number:02d}",
    "1.0.{number}",
    "2026-03-{day:02}",
    "word",
    "WORD",
    "EUR",
    "DE",
    "aA1!aA1!{number}",
)


def sample(
    shape: Shape, components: Mapping[str, Shape], number: int, name: str = "value", depth: int = 0
) -> JsonValue:
    """A value of the shape; another number gives another value where the shape allows it."""
    shape = resolved(shape, components)
    options = shape.get("anyOf") or shape.get("oneOf")
    if isinstance(options, list) and options:
        return sample(cast("Shape", options[0]), components, number, name, depth + 1)
    enum = shape.get("enum")
    if isinstance(enum, list) and enum:
        words = [word for word in enum if word is not None]
        return words[number % len(words)] if words else None
    kind = shape.get("type")
    kind = next((k for k in kind if k != "null"), "null") if isinstance(kind, list) else kind
    return _of_kind(str(kind), shape, components, number, (name, depth))


def _of_kind(
    kind: str,
    shape: Shape,
    components: Mapping[str, Shape],
    number: int,
    place: tuple[str, int],
) -> JsonValue:
    name, depth = place
    match kind:
        case "integer" | "number":
            return _number(shape, number)
        case "boolean":
            return number % 2 == 0
        case "array":
            return _array(shape, components, number, place)
        case "object":
            return _object(shape, components, number, depth)
        case "null":
            return None
        case _:
            return _text(shape, number, name)


def _number(shape: Shape, number: int) -> JsonValue:
    low, high = _limit(shape, "minimum", 1), _limit(shape, "maximum", 10**6)
    low = max(low, _limit(shape, "exclusiveMinimum", low - 1) + 1)
    step = _limit(shape, "multipleOf", 1)
    value = low + number * step
    if value % step:
        value = (value // step + 1) * step
    value = min(value, high)
    return int(value) if float(value).is_integer() else value


def _limit(shape: Shape, word: str, fallback: float) -> float:
    value = shape.get(word)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return cast("float", value) if is_number else fallback


def _array(
    shape: Shape, components: Mapping[str, Shape], number: int, place: tuple[str, int]
) -> JsonValue:
    name, depth = place
    count = max(int(_limit(shape, "minItems", 1)), 1)
    if depth > _DEEPEST:
        return []
    items = cast("Shape", shape.get("items") or {})
    return [sample(items, components, number + n, name, depth + 1) for n in range(count)]


def _object(shape: Shape, components: Mapping[str, Shape], number: int, depth: int) -> JsonValue:
    members = cast("dict[str, Shape]", shape.get("properties") or {})
    extra = shape.get("additionalProperties")
    if depth > _DEEPEST:
        return {}
    if not members and isinstance(extra, dict):
        return {"key": sample(extra, components, number, "value", depth + 1)}
    if not members:
        return {"key": f"value {number}"}
    return {n: sample(s, components, number, n, depth + 1) for n, s in members.items()}


def _text(shape: Shape, number: int, name: str) -> str:
    values: dict[str, int | str] = {"number": number, "name": name, "day": 1 + number % 28}
    template = _FORMATS.get(str(shape.get("format")))
    if template is not None:
        return template.format(**values)
    pattern = shape.get("pattern")
    if isinstance(pattern, str):
        return _matching(pattern, values, shape)
    return _fitted(f"{name} {number}", shape)


def _matching(pattern: str, values: Mapping[str, int | str], shape: Shape) -> str:
    for template in _CANDIDATES:
        text = template.format(**values)
        try:
            if re.search(pattern, text) and text == _fitted(text, shape):
                return text
        except re.error:
            break
    example = shape.get("example")
    return example if isinstance(example, str) else f"{values['name']} {values['number']}"


def _fitted(text: str, shape: Shape) -> str:
    low, high = int(_limit(shape, "minLength", 0)), int(_limit(shape, "maxLength", 10**6))
    text = text if len(text) >= low else text + "x" * (low - len(text))
    return text if len(text) <= high else text[-high:]
