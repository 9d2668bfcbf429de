"""A least value for each shape: a field that must be there is there though nothing computes it."""

from pydantic import JsonValue

from build_executor.spec.contract import Shape
from build_executor.spec.shapes import is_type, properties, required


def zero_of(shape: Shape) -> JsonValue:
    """The least value of a shape, for a field that must be there though nothing says its value."""
    enum = shape.get("enum")
    if isinstance(enum, list) and enum:
        return enum[0]
    if shape.get("format") == "date-time":
        return "1970-01-01T00:00:00Z"
    zeros: tuple[tuple[str, JsonValue], ...] = (
        ("string", ""),
        ("integer", shape.get("minimum") or 0),
        ("number", shape.get("minimum") or 0),
        ("boolean", False),
        ("array", []),
    )
    found = next((value for kind, value in zeros if is_type(shape, kind)), None)
    if is_type(shape, "object"):
        fields = properties(shape)
        return {name: zero_of(fields.get(name, {})) for name in required(shape)}
    return found
