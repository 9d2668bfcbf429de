"""Requests made from a contract: the SPEC's example where it fits its shape, else made up."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import cast

import jsonschema
from pydantic import JsonValue

from build_executor.checks.patterns import matching
from build_executor.spec.contract import Contract, Operation, Shape

_DEEPEST = 8
_FORMATS: dict[str, str] = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "email": "someone@example.org",
    "uuid": "6f1c2a34-0000-4000-8000-000000000001",
    "uri": "https://example.org/",
}
_formats = jsonschema.FormatChecker(formats=())


@_formats.checks("date-time", raises=ValueError)
def _is_instant(value: object) -> bool:
    return not isinstance(value, str) or bool(datetime.fromisoformat(value))


def faults(value: JsonValue, shape: Shape, contract: Contract) -> list[str]:
    """How a value differs from a shape of this contract, at most three differences."""
    schema = {**shape, "components": {"schemas": contract.components}}
    validator = jsonschema.Draft202012Validator(schema, format_checker=_formats)
    found = [f"{error.json_path}: {error.message}"[:200] for error in validator.iter_errors(value)]
    return found[:3]


def sample_body(operation: Operation, contract: Contract, variation: int) -> JsonValue:
    """A body this operation should accept; what must be unique differs with `variation`."""
    if operation.request is None:
        return None
    body = _example_or_sample(operation.request_example, operation.request, contract)
    resource = contract.resource(operation.resource)
    if isinstance(body, dict) and resource is not None:
        distinct = {*resource.unique, resource.id_field} & set(body)
        shapes = fields(resolved(operation.request, contract))
        body |= {
            name: _fitting(body[name], variation, shapes.get(name, {}), contract)
            for name in distinct
        }
    return body


def _fitting(value: JsonValue, variation: int, shape: Shape, contract: Contract) -> JsonValue:
    """Another value, of the shape as well if one is found."""
    varied = _varied(value, variation)
    if not isinstance(value, str) or not faults(varied, shape, contract):
        return varied
    digits = iter(str(variation).zfill(sum(map(str.isdigit, value)))[::-1])
    turned = [next(digits) if letter.isdigit() else letter for letter in reversed(value)]
    renumbered = "".join(reversed(turned))
    return value if faults(renumbered, shape, contract) else renumbered


def sample(shape: Shape, contract: Contract, depth: int = 0) -> JsonValue:
    """The simplest value of a shape: its example, default or first choice if it names one."""
    shape = resolved(shape, contract)
    for word in ("const", "example", "default"):
        if shape.get(word) is not None:
            return shape[word]
    choices = shape.get("enum") or shape.get("examples")
    if isinstance(choices, list) and choices:
        return choices[0]
    if alternatives := _alternatives(shape):
        return sample(alternatives[0], contract, depth)
    return _of_type(shape, contract, depth)


def _example_or_sample(example: JsonValue, shape: Shape, contract: Contract) -> JsonValue:
    """The example, with a made-up value for each field that does not fit its own shape."""
    shapes = fields(resolved(shape, contract))
    if isinstance(example, dict) and shapes:
        example = {
            name: value
            if name not in shapes or not faults(value, shapes[name], contract)
            else sample(shapes[name], contract)
            for name, value in example.items()
        }
    made = sample(shape, contract)
    if isinstance(example, dict) and isinstance(made, dict):
        return {**made, **example}
    return made if example is None else example


def _of_type(shape: Shape, contract: Contract, depth: int) -> JsonValue:
    match _kind(shape):
        case "object":
            return _object(shape, contract, depth)
        case "array":
            items = cast("Shape", shape.get("items") or {})
            return [sample(items, contract, depth + 1)] * int(
                cast("int", shape.get("minItems") or 0)
            )
        case "integer" | "number":
            return _number(shape)
        case "boolean":
            return True
        case _:
            return _text(shape)


def _kind(shape: Shape) -> str:
    kind = shape.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    named = [str(name) for name in kinds if name not in (None, "null")]
    if named:
        return named[0]
    return "object" if "properties" in shape else "string"


def _object(shape: Shape, contract: Contract, depth: int) -> JsonValue:
    required = shape.get("required")
    names = required if isinstance(required, list) and depth < _DEEPEST else []
    shapes = fields(shape)
    return {str(name): sample(shapes.get(str(name), {}), contract, depth + 1) for name in names}


def _number(shape: Shape) -> JsonValue:
    least = shape.get("minimum", shape.get("exclusiveMinimum", 0))
    most = shape.get("maximum")
    value = int(cast("float", least)) + 1
    return min(value, int(cast("float", most))) if most is not None else value


def _text(shape: Shape) -> str:
    expression = shape.get("pattern")
    if isinstance(expression, str) and (made := matching(expression)) is not None:
        return made
    text = _FORMATS.get(str(shape.get("format")), "sample")
    least, most = shape.get("minLength"), shape.get("maxLength")
    if isinstance(least, int):
        text = text.ljust(least, "x")
    return text[:most] if isinstance(most, int) else text


def resolved(shape: Shape, contract: Contract) -> Shape:
    """The shape itself, or the one it refers to."""
    reference = shape.get("$ref")
    if not isinstance(reference, str):
        return shape
    return contract.components.get(reference.rsplit("/", 1)[-1], {})


def _alternatives(shape: Shape) -> list[Shape]:
    listed = shape.get("anyOf") or shape.get("oneOf") or shape.get("allOf") or []
    shapes = cast("list[Shape]", listed)
    return [alternative for alternative in shapes if alternative.get("type") != "null"]


def fields(shape: Shape) -> Mapping[str, Shape]:
    """The fields of an object's shape."""
    return cast("Mapping[str, Shape]", shape.get("properties") or {})


def _varied(value: JsonValue, variation: int) -> JsonValue:
    match value:
        case bool() | None | float() | list() | dict():
            return value
        case int():
            return value + variation
        case str() if _is_uuid(value):
            return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{value}{variation}"))
        case str() if "@" in value:
            return f"v{variation}.{value}"
        case _:
            return f"{value}-{variation}"


def _is_uuid(value: str) -> bool:
    try:
        uuid.UUID(value)
    except ValueError:
        return False
    return True
