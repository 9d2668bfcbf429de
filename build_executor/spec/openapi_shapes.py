"""OpenAPI's schemas, in 3.0 or 3.1 form, as the shapes that contracts are made of."""

from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue

from build_executor.spec.contract import Shape

_DEEPEST = 24
_INLINED = 5
_PREFIX = "#/components/schemas/"
_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})
_TEXTS = frozenset({"format", "description", "pattern"})
_NUMBERS = frozenset(
    {"minLength", "maxLength", "minItems", "maxItems", "multipleOf"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
)


def normal_shape(schema: JsonValue, schemas: Mapping[str, JsonValue], depth: int = 0) -> Shape:
    """The schema with `allOf` merged, `nullable` and `const` as types; anything odd allows all."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return {"$ref": reference} if reference.startswith(_PREFIX) else {}
    if isinstance(schema.get("allOf"), list):
        return _all_of(schema, schemas, depth)
    shape: Shape = {key: value for key, value in schema.items() if _is_kept(key, value)}
    _nest(shape, schema, schemas, depth)
    _modernise(shape, schema)
    return shape


def _is_kept(word: str, value: JsonValue) -> bool:
    """Whether the word is one that contracts use, with a value that it may have."""
    match word:
        case "type":
            kinds = value if isinstance(value, list) else [value]
            return bool(kinds) and all(isinstance(k, str) and k in _TYPES for k in kinds)
        case "required":
            return isinstance(value, list) and all(isinstance(name, str) for name in value)
        case "enum":
            return isinstance(value, list) and bool(value)
        case "default" | "example":
            return True
        case _:
            kind = str if word in _TEXTS else int | float
            return word in _TEXTS | _NUMBERS and isinstance(value, kind)


def _nest(
    shape: Shape, schema: dict[str, JsonValue], schemas: Mapping[str, JsonValue], depth: int
) -> None:
    """Normalises what the schema contains."""
    members = schema.get("properties")
    if isinstance(members, dict):
        shape["properties"] = {n: normal_shape(s, schemas, depth + 1) for n, s in members.items()}
        shape.setdefault("type", "object")
    if "items" in schema:
        shape["items"] = normal_shape(schema["items"], schemas, depth + 1)
        shape.setdefault("type", "array")
    for word in ("anyOf", "oneOf"):
        options = schema.get(word)
        if isinstance(options, list) and options:
            shape["anyOf"] = [normal_shape(option, schemas, depth + 1) for option in options]
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict) or (extra is False and members):
        shape["additionalProperties"] = extra and normal_shape(extra, schemas, depth + 1)


def _modernise(shape: Shape, schema: dict[str, JsonValue]) -> None:
    """What 3.0 says otherwise than 3.1."""
    if "const" in schema:
        shape["enum"] = [schema["const"]]
    if schema.get("nullable") is True and isinstance(kind := shape.get("type"), str):
        shape["type"] = [kind, "null"]
    for exclusive, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if shape.get(exclusive) is True:
            shape[exclusive] = shape.pop(limit, None)
        elif isinstance(shape.get(exclusive), bool) or shape.get(exclusive, 0) is None:
            shape.pop(exclusive)


def _all_of(schema: dict[str, JsonValue], schemas: Mapping[str, JsonValue], depth: int) -> Shape:
    """One object with the fields of all parts."""
    parts = [*cast("list[JsonValue]", schema["allOf"])]
    own = {key: value for key, value in schema.items() if key != "allOf"}
    shapes = [_opened(normal_shape(part, schemas, depth + 1), schemas, depth) for part in parts]
    shapes.append(normal_shape(own, schemas, depth + 1))
    fields: dict[str, JsonValue] = {}
    needed: list[JsonValue] = []
    merged: Shape = {}
    for shape in shapes:
        merged |= shape
        fields |= cast("dict[str, JsonValue]", shape.get("properties") or {})
        needed.extend(cast("list[JsonValue]", shape.get("required") or []))
    if fields:
        names = dict.fromkeys(name for name in needed if isinstance(name, str))
        merged |= {"type": "object", "properties": fields, "required": list(names)}
        merged.pop("additionalProperties", None)
    return merged


def _opened(shape: Shape, schemas: Mapping[str, JsonValue], depth: int) -> Shape:
    """What a reference refers to."""
    name = reference_name(shape)
    return shape if name is None else normal_shape(schemas.get(name, {}), schemas, depth + 2)


def reference_name(shape: Mapping[str, JsonValue]) -> str | None:
    """The component that a shape refers to."""
    reference = shape.get("$ref")
    is_component = isinstance(reference, str) and reference.startswith(_PREFIX)
    return str(reference)[len(_PREFIX) :] if is_component else None


def inlined(shape: Shape, components: Mapping[str, Shape], depth: int = 0) -> Shape:
    """The shape with its references replaced, some levels deep, for looking at its fields."""
    name = reference_name(shape)
    if name is not None:
        return inlined(components.get(name, {}), components, depth + 1) if depth < _INLINED else {}
    if depth > _INLINED:
        return shape
    result = dict(shape)
    members = shape.get("properties")
    if isinstance(members, dict):
        result["properties"] = {
            n: inlined(cast("Shape", s), components, depth + 1) for n, s in members.items()
        }
    if isinstance(shape.get("items"), dict):
        result["items"] = inlined(cast("Shape", shape["items"]), components, depth + 1)
    return result
