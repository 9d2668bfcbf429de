"""Shapes as Python: annotations, and the classes that they name."""

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, cast

from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import SchemaError

from build_executor.generators.compiler.text import literal, text_literal
from build_executor.spec.contract import Shape
from build_executor.spec.naming import pascal, snake, unique_name

_DEEPEST = 12
_FORMATS = {
    "date-time": "DateTime",
    "date": "Date",
    "email": "Email",
    "uuid": "Identifier",
    "uri": "Uri",
    "url": "Uri",
}
_STRICT = {"integer": "StrictInt", "number": "StrictInt | StrictFloat", "boolean": "StrictBool"}
_LAX = {"integer": "int", "number": "float", "boolean": "bool"}
_LIMITS = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
}
_BUILTINS = frozenset({"list", "dict", "str", "int", "float", "bool"})
_TAKEN = _BUILTINS | {name for name in dir(BaseModel) if not name.startswith("__")}
_LIBRARY = frozenset(
    {"Any", "Literal", "Annotated", "BaseModel", "ConfigDict", "Field", "None", "True", "False"}
    | {"StrictBool", "StrictFloat", "StrictInt", "AfterValidator", "WithJsonSchema"}
    | {"APIRouter", "Body", "Depends", "Header", "Path", "Query", "Request", "WebSocket", "Store"}
    | {"Uptime", "Metrics", "Page", "Record", "Repository", "NoReturn", "Mapping", "UUID", "Hub"}
    | {"Token", "Caller", "HTTPBearer", "HTTPAuthorizationCredentials"}
    | {"NotImplementedYetError", "Subscriber"}
    | set(_FORMATS.values())
)


@dataclass(frozen=True, slots=True)
class ModelField:
    """One line of a class."""

    name: str
    annotation: str
    default: str


@dataclass(frozen=True, slots=True)
class ModelClass:
    """One class of `app/models.py`."""

    name: str
    fields: tuple[ModelField, ...]
    doc: str = ""
    forbids_extra: bool = False


@dataclass(slots=True)
class ModelNames:
    """Turns shapes into annotations and collects the classes this needs."""

    components: Mapping[str, Shape]
    classes: dict[str, ModelClass] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=lambda: set(_LIBRARY))

    def class_of(self, component: str) -> str:
        """The class of a component, made when it is first asked for."""
        if component not in self.names:
            name = unique_name(pascal(component), self.taken)
            self.names[component] = name
            self._make(name, self.components.get(component, {}))
        return self.names[component]

    def lax_class(self, name: str, shape: Shape) -> str:
        """A class for values that arrive as text, such as a query's."""
        name = unique_name(name, self.taken)
        self._make(name, shape, strict=False)
        return name

    def annotation(self, shape: Shape, owner: str, *, strict: bool = True, depth: int = 0) -> str:
        """The annotation of a shape; `owner` names the classes of nested objects."""
        if depth > _DEEPEST:
            return "Any"
        if "$ref" in shape:
            return self._reference(shape, depth)
        parts = list(self._alternatives(shape, owner, strict=strict, depth=depth))
        return " | ".join(dict.fromkeys(parts)) if parts and "Any" not in parts else "Any"

    def _reference(self, shape: Shape, depth: int) -> str:
        component = str(shape["$ref"]).rsplit("/", 1)[-1]
        target = self.components.get(component, {})
        if _is_class(target):
            return self.class_of(component)
        return self.annotation(target, component, depth=depth + 1)

    def _alternatives(self, shape: Shape, owner: str, *, strict: bool, depth: int) -> Iterator[str]:
        for word in ("anyOf", "oneOf"):
            options = shape.get(word)
            if isinstance(options, list):
                for option in options:
                    inner = cast("Shape", option)
                    yield self.annotation(inner, owner, strict=strict, depth=depth + 1)
                return
        kinds = shape.get("type")
        for kind in kinds if isinstance(kinds, list) else [kinds]:
            yield self._one(str(kind), shape, owner, strict=strict, depth=depth)

    def _one(self, kind: str, shape: Shape, owner: str, *, strict: bool, depth: int) -> str:
        match kind:
            case "null":
                return "None"
            case "string" | "integer" | "number" | "boolean":
                return _scalar(kind, shape, strict=strict)
            case "array":
                items = cast("Shape", shape.get("items") or {})
                inner = self.annotation(items, f"{owner} item", strict=strict, depth=depth + 1)
                return _limited(f"list[{inner}]", shape, ("minItems", "maxItems"))
            case "object":
                return self._object(shape, owner, depth)
            case _:
                return _literals(shape) or "Any"

    def _object(self, shape: Shape, owner: str, depth: int) -> str:
        if _is_class(shape):
            name = unique_name(pascal(owner), self.taken)
            self._make(name, shape)
            return name
        values = shape.get("additionalProperties")
        inner = values if isinstance(values, dict) else {}
        return f"dict[str, {self.annotation(inner, f'{owner} value', depth=depth + 1)}]"

    def _make(self, name: str, shape: Shape, *, strict: bool = True) -> None:
        needed = set(cast("list[str]", shape.get("required") or []))
        members = cast("dict[str, Shape]", shape.get("properties") or {})
        used: set[str] = set()
        fields = []
        for member, inner in members.items():
            annotation = self.annotation(inner, f"{name} {member}", strict=strict)
            default, annotation = _default(inner, annotation, needed=member in needed)
            fields.append(_field(member, field_name(member, used), annotation, default))
        forbids = shape.get("additionalProperties") is False
        self.classes[name] = ModelClass(
            name, tuple(fields), str(shape.get("description") or ""), forbids
        )


def _field(member: str, python: str, annotation: str, default: str) -> ModelField:
    if python == member:
        return ModelField(python, annotation, default)
    parts = [default or "...", f"alias={text_literal(member)}"]
    if default.startswith("Field("):
        parts[0] = default.removeprefix("Field(").removesuffix(")")
    return ModelField(python, annotation, f"Field({', '.join(parts)})")


def field_name(member: str, used: set[str]) -> str:
    """The member's name if it can be a field's name, else one made from it."""
    plain = member.isidentifier() and member.isascii() and not keyword.iskeyword(member)
    hides = member in _TAKEN or member[:1].isupper()  # a method, or a class of an annotation
    if plain and not hides and not member.startswith(("_", "model_")):
        name = member
    else:
        name = f"{snake(member)}_" if member in _TAKEN else f"{snake(member)}_value"
    return unique_name(name, used)


def _default(shape: Shape, annotation: str, *, needed: bool) -> tuple[str, str]:
    if needed:
        return "", annotation
    if shape.get("default") is not None:
        value = shape["default"]
        if isinstance(value, list | dict):
            factory = f"lambda: {literal(value)}" if value else type(value).__name__
            return f"Field(default_factory={factory})", annotation
        return literal(value), annotation
    if annotation != "Any" and "None" not in annotation.split(" | "):
        annotation = f"{annotation} | None"
    return "None", annotation


def _is_class(shape: Shape) -> bool:
    return bool(shape.get("properties")) and shape.get("type", "object") == "object"


def _scalar(kind: str, shape: Shape, *, strict: bool) -> str:
    if shape.get("enum"):
        return _literals(shape) or "str"
    if kind == "string":
        name = _FORMATS.get(str(shape.get("format")), "str")
        return _limited(name, shape, ("minLength", "maxLength"), pattern=True)
    limits = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
    return _limited((_STRICT if strict else _LAX)[kind], shape, limits)


def _literals(shape: Shape) -> str:
    values = shape.get("enum")
    words = [v for v in values if isinstance(v, str | int)] if isinstance(values, list) else []
    return f"Literal[{', '.join(dict.fromkeys(literal(word) for word in words))}]" if words else ""


def _limited(
    annotation: str, shape: Shape, words: tuple[str, ...], *, pattern: bool = False
) -> str:
    limits = [
        f"{_LIMITS[word]}={literal(shape[word])}"
        for word in words
        if isinstance(shape.get(word), int | float) and not isinstance(shape.get(word), bool)
    ]
    expression = shape.get("pattern")
    if pattern and isinstance(expression, str) and is_safe_pattern(expression):
        limits.append(f"pattern={text_literal(expression)}")
    return f"Annotated[{annotation}, Field({', '.join(limits)})]" if limits else annotation


_PATTERN_LIMIT = 200


def is_safe_pattern(expression: str) -> bool:
    """Whether pydantic's engine, which knows no look-around, takes the regular expression."""
    if len(expression) > _PATTERN_LIMIT:
        return False
    try:
        TypeAdapter(Annotated[str, Field(pattern=expression)])
    except SchemaError:
        return False
    return True


def uses(classes: Mapping[str, ModelClass], word: str) -> bool:
    """Whether any class mentions the word in an annotation."""
    return any(
        re.search(rf"\b{word}\b", member.annotation)
        for model in classes.values()
        for member in model.fields
    )
