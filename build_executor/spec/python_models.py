"""Data models written as Python classes in a SPEC: read with `ast`, never executed."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from build_executor.spec.contract import Shape
from build_executor.spec.shapes import is_type, nullable

_SCALARS: dict[str, Shape] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "Decimal": {"type": "number"},
    "bool": {"type": "boolean"},
    "bytes": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "UUID": {"type": "string"},
    "EmailStr": {"type": "string", "format": "email"},
    "HttpUrl": {"type": "string"},
    "dict": {"type": "object"},
    "Dict": {"type": "object"},
    "list": {"type": "array", "items": {}},
    "List": {"type": "array", "items": {}},
    "Any": {},
}
_LISTS = frozenset({"list", "List", "set", "Set", "Sequence", "Iterable", "tuple", "Tuple"})
_MAPS = frozenset({"dict", "Dict", "Mapping"})
_WORDS = re.compile(r"[\"']?([A-Za-z][\w-]*)[\"']?")
_FEWEST_WORDS, _MOST_WORDS = 2, 12


@dataclass(frozen=True, slots=True)
class PythonModel:
    """A class of a SPEC: its fields' shapes, which of them are needed, and what comments add."""

    name: str
    fields: dict[str, Shape]
    required: tuple[str, ...]
    defaults: dict[str, JsonValue]
    unique: tuple[str, ...]
    line: int


def read_models(text: str, first_line: int) -> tuple[PythonModel, ...]:
    """The classes with annotated fields in a block of Python; none if it is not Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    lines = text.split("\n")
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    enums = {node.name: shape for node in classes if (shape := _enum(node))}
    models: dict[str, PythonModel] = {}
    for node in classes:
        if node.name not in enums:
            own = _model(node, lines, enums, first_line)
            models[node.name] = _inheriting(own, [models.get(name) for name in _bases(node)])
    return tuple(model for model in models.values() if model.fields)


def _bases(node: ast.ClassDef) -> list[str]:
    return [base.id for base in node.bases if isinstance(base, ast.Name)]


def _inheriting(own: PythonModel, bases: list[PythonModel | None]) -> PythonModel:
    """The class with the fields of the classes above it that it does not state anew."""
    for base in (base for base in bases if base is not None):
        own = PythonModel(
            own.name,
            {**base.fields, **own.fields},
            tuple(
                name
                for name in dict.fromkeys([*base.required, *own.required])
                if name in own.required or name not in own.fields
            ),
            {**{n: v for n, v in base.defaults.items() if n not in own.fields}, **own.defaults},
            tuple(dict.fromkeys([*base.unique, *own.unique])),
            own.line,
        )
    return own


def _enum(node: ast.ClassDef) -> Shape | None:
    if not any(isinstance(base, ast.Name) and base.id.endswith("Enum") for base in node.bases):
        return None
    values = [
        item.value.value
        for item in node.body
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant)
    ]
    texts: list[JsonValue] = [value for value in values if isinstance(value, str)]
    return {"type": "string", "enum": texts} if texts else None


def _model(
    node: ast.ClassDef, lines: list[str], enums: dict[str, Shape], first_line: int
) -> PythonModel:
    fields: dict[str, Shape] = {}
    needed: list[str] = []
    defaults: dict[str, JsonValue] = {}
    unique: list[str] = []
    for item in _annotated(node):
        name = cast("ast.Name", item.target).id
        comment = _comment(lines[item.lineno - 1])
        fields[name] = _bounded(_commented(_shape(item.annotation, enums), comment), item.value)
        if "unique" in comment.lower():
            unique.append(name)
        if _is_needed(item):
            needed.append(name)
        elif item.value is not None:
            known = _member_of(item.value, enums)
            defaults.update((name, value) for value in [*known, *_default(item.value)][:1])
    return PythonModel(
        node.name, fields, tuple(needed), defaults, tuple(unique), first_line + node.lineno - 1
    )


def _is_needed(item: ast.AnnAssign) -> bool:
    """Without a value, or with `Field(...)` as one."""
    value = item.value
    if not isinstance(value, ast.Call):
        is_ellipsis = isinstance(value, ast.Constant) and value.value is ...
        return is_ellipsis or (value is None and not _is_optional(item.annotation))
    if not _describes(value) or {"default", "default_factory"} & {k.arg for k in value.keywords}:
        return False
    first = value.args[0] if value.args else None
    return first is None or (isinstance(first, ast.Constant) and first.value is ...)


def _describes(call: ast.Call) -> bool:
    """Whether the call says what a field may hold, and is not its value."""
    return ast.unparse(call.func).rsplit(".", 1)[-1] in {"Field", "field", "Query", "Body", "Path"}


def _member_of(node: ast.expr, enums: dict[str, Shape]) -> Iterator[JsonValue]:
    """`Size.SMALL` is the word that the enumeration gives to it."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        words = enums.get(node.value.id, {}).get("enum")
        spoken = [w for w in words if isinstance(w, str)] if isinstance(words, list) else []
        yield from [w for w in spoken if _plain(w) == _plain(node.attr)]


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())


def _bounded(shape: Shape, value: ast.expr | None) -> Shape:
    """The shape with the bounds that `Field(gt=0, max_length=10)` sets."""
    if not shape or "$ref" in shape:
        return shape
    bounds = bounds_in(value)
    if is_type(shape, "array"):
        bounds = {word.replace("Length", "Items"): bound for word, bound in bounds.items()}
    return {**shape, **bounds}


def bounds_in(value: ast.expr | None) -> Shape:
    """The bounds among the keywords of a call such as `Field(...)` or `Query(...)`."""
    bounds: Shape = {}
    for keyword in value.keywords if isinstance(value, ast.Call) else []:
        word, found = _BOUNDS.get(keyword.arg or ""), list(_default(keyword.value))
        if word is not None and found and found[0] is not None:
            bounds[word] = found[0]
    return bounds


_BOUNDS = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "multiple_of": "multipleOf",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
    "regex": "pattern",
}


def _annotated(node: ast.ClassDef) -> Iterator[ast.AnnAssign]:
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            yield item


def _comment(line: str) -> str:
    return line.partition("#")[2].strip()


def _commented(shape: Shape, comment: str) -> Shape:
    """`status: str  # queued, running, failed` says which words there are."""
    if not is_type(shape, "string") or "format" in shape:
        return shape
    parts = re.split(r"\s*(?:,|\||/| or )\s*", comment.strip().rstrip("."))
    words = [match[1] for part in parts if (match := _WORDS.fullmatch(part.strip()))]
    if not _FEWEST_WORDS <= len(parts) <= _MOST_WORDS or len(words) != len(parts):
        return shape
    known: Shape = {"type": "string", "enum": cast("list[JsonValue]", words)}
    return nullable(known) if isinstance(shape.get("type"), list) else known


def _default(node: ast.expr) -> Iterator[JsonValue]:
    if isinstance(node, ast.Call):
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        if ast.unparse(keywords.get("default_factory", node.func)) in {"list", "dict"}:
            yield [] if ast.unparse(keywords.get("default_factory", node.func)) == "list" else {}
        candidates = [*node.args[:1], *(keywords[k] for k in ("default",) if k in keywords)]
        candidates = candidates if _describes(node) else []
        for candidate in candidates:
            yield from _default(candidate)
        return
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return
    if value is None or isinstance(value, str | int | float | bool | list | dict):
        yield cast("JsonValue", value)


def default_of(node: ast.expr | None) -> Iterator[JsonValue]:
    """The value of an argument that was left out, if it is a plain one."""
    if node is not None:
        yield from _default(node)


def _is_optional(annotation: ast.expr) -> bool:
    text = ast.unparse(annotation)
    return text.startswith("Optional") or "None" in text


def _shape(node: ast.expr, enums: dict[str, Shape]) -> Shape:
    if isinstance(node, ast.Name | ast.Attribute):
        name = node.id if isinstance(node, ast.Name) else node.attr
        return dict(enums.get(name) or _SCALARS.get(name) or _reference(name))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _forward(node.value, enums)
    if isinstance(node, ast.Subscript):
        return _generic(node, enums)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _either(node, enums)
    return {}


def _reference(name: str) -> Shape:
    if name in _SCALARS:
        return {}
    return (
        {"$ref": f"#/components/schemas/{name}"} if name.isidentifier() and name.isascii() else {}
    )


def _forward(text: str, enums: dict[str, Shape]) -> Shape:
    try:
        return _shape(ast.parse(text, mode="eval").body, enums)
    except (SyntaxError, ValueError, RecursionError):
        return {}


def _generic(node: ast.Subscript, enums: dict[str, Shape]) -> Shape:
    origin = node.value.id if isinstance(node.value, ast.Name) else ""
    arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if origin == "Optional":
        return _or_null(_shape(arguments[0], enums))
    if origin in _LISTS:
        return {"type": "array", "items": _shape(arguments[0], enums)}
    if origin in _MAPS:
        values = _shape(arguments[-1], enums)
        return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
    if origin == "Literal":
        words = [a.value for a in arguments if isinstance(a, ast.Constant)]
        texts: list[JsonValue] = [word for word in words if isinstance(word, str)]
        return {"type": "string", "enum": texts} if texts else {}
    return {}


def _either(node: ast.BinOp, enums: dict[str, Shape]) -> Shape:
    sides = [node.left, node.right]
    real = [s for s in sides if not (isinstance(s, ast.Constant) and s.value is None)]
    shapes = [_shape(side, enums) for side in real]
    if len(real) == 1:
        return _or_null(shapes[0])
    return {"anyOf": cast("list[JsonValue]", shapes)} if all(shapes) else {}


def _or_null(shape: Shape) -> Shape:
    if "$ref" in shape:
        return {"anyOf": [shape, {"type": "null"}]}
    return nullable(shape)
