"""A contract written down as a SPEC again, in two of the dialects that people use."""

import json
from collections.abc import Callable, Iterator
from typing import cast

from pydantic import JsonValue

from build_executor.checks.sampling import fields, resolved, sample
from build_executor.spec.contract import Contract, Dependency, Operation, Shape
from build_executor.spec.naming import pascal
from build_executor.spec.shapes import required

_DEEPEST = 6
_PYTHON = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "object": "dict[str, Any]",
    "array": "list[Any]",
}


def as_headings(contract: Contract) -> str:
    """Endpoints as headings, their bodies as labelled JSON blocks."""
    return _document(contract, _heading)


def as_paragraphs(contract: Contract) -> str:
    """Endpoints as bold paragraphs, everything about them as bullets of prose."""
    return _document(contract, _paragraph)


DIALECTS: dict[str, Callable[[Contract], str]] = {
    "headings": as_headings,
    "paragraphs": as_paragraphs,
}


def _document(contract: Contract, write: Callable[[Operation, Contract], Iterator[str]]) -> str:
    parts = [f"# {contract.title or contract.service}", _header(contract)]
    if contract.description:
        parts.extend(["## Overview", " ".join(contract.description.split())])
    parts.append("## API Endpoints")
    for operation in contract.operations:
        if operation.spec_line:
            parts.extend(write(operation, contract))
    parts.extend(_models(contract))
    parts.extend(_dependencies(contract.dependencies))
    return "\n\n".join(parts) + "\n"


def _header(contract: Contract) -> str:
    lines = [f"**Service Name:** {contract.service}", f"**Version:** {contract.version}"]
    if contract.port is not None:
        lines.append(f"**Port:** {contract.port}")
    return "\n".join(lines)


def _heading(operation: Operation, contract: Contract) -> Iterator[str]:
    yield f"### {operation.label}"
    yield from (f"**{title}:** {text}" for title, text in _facts(operation))
    if operation.request is not None:
        yield f"**Request:**\n\n{_fence(_whole(operation.request, contract))}"
    if operation.response:
        yield f"**Response:**\n\n{_fence(_whole(operation.response, contract))}"


def _paragraph(operation: Operation, contract: Contract) -> Iterator[str]:
    yield f"**{operation.label}**"
    yield "\n".join(f"- {line}" for line in _bullets(operation, contract))


def _bullets(operation: Operation, contract: Contract) -> Iterator[str]:
    yield from (f"{title}: {text}" for title, text in _facts(operation))
    if operation.request is not None:
        yield f"Input: {json.dumps(_whole(operation.request, contract))}"
    if operation.response:
        yield f"Output: {json.dumps(_whole(operation.response, contract))}"


def _facts(operation: Operation) -> Iterator[tuple[str, str]]:
    facts = {
        "Purpose": " ".join(operation.summary.split()),
        "Auth": "Bearer token" if operation.secured else "",
        "Query parameters": ", ".join(p.name for p in operation.parameters_in("query")),
        "Success": str(operation.success_status),
        "Errors": ", ".join(map(str, operation.errors)),
    }
    return ((title, text) for title, text in facts.items() if text)


def _fence(value: JsonValue) -> str:
    return f"```json\n{json.dumps(value, indent=2)}\n```"


def _whole(shape: Shape, contract: Contract, depth: int = 0) -> JsonValue:
    """An example with every field there may be, not only those that must be."""
    shape = resolved(shape, contract)
    inner = fields(shape)
    if inner and depth < _DEEPEST:
        return {name: _whole(field, contract, depth + 1) for name, field in inner.items()}
    items = shape.get("items")
    if shape.get("type") == "array" and isinstance(items, dict) and items and depth < _DEEPEST:
        return [_whole(items, contract, depth + 1)]
    return _plain(shape, contract)


def _plain(shape: Shape, contract: Contract) -> JsonValue:
    """Of no type at all: null, which says nothing either."""
    says_something = shape.keys() & {"type", "enum", "const", "anyOf", "oneOf", "allOf"}
    if not says_something:
        return None
    value = sample({**shape, "default": None}, contract)
    return 0.5 if shape.get("type") == "number" else value


def _models(contract: Contract) -> Iterator[str]:
    """What JSON has no way to say, as classes: which fields are needed, which words there are."""
    entities = [_class(pascal(r.singular), r.shape, contract) for r in contract.resources]
    requests = [
        _class(f"{pascal(o.name)}Request", o.request or {}, contract)
        for o in contract.business
        if o.spec_line
    ]
    classes = [text for text in (*entities, *requests) if text]
    if classes:
        yield "## Data Models"
        yield "```python\n" + "\n\n".join(classes) + "\n```"


def _class(name: str, shape: Shape, contract: Contract) -> str:
    shape = resolved(shape, contract)
    lines = [
        f"    {field}: {_annotation(inner, needed=field in required(shape))}"
        for field, inner in fields(shape).items()
        if field.isidentifier()
    ]
    return "\n".join([f"class {name}(BaseModel):", *lines]) if lines else ""


def _annotation(shape: Shape, *, needed: bool) -> str:
    kind = shape.get("type")
    kinds = cast("list[str]", kind if isinstance(kind, list) else [kind])
    python = next((_PYTHON[name] for name in kinds if name in _PYTHON), "Any")
    python = "datetime" if shape.get("format") == "date-time" else python
    words = [word for word in cast("list[JsonValue]", shape.get("enum") or []) if word is not None]
    python = f"Literal{words}" if words and python == "str" else python
    return python if needed else f"{python} | None = None"


def _dependencies(dependencies: tuple[Dependency, ...]) -> Iterator[str]:
    if dependencies:
        yield "## Dependencies"
    for title, wanted in (("Required services", True), ("Optional services", False)):
        lines = [_dependency(d) for d in dependencies if d.required == wanted]
        if lines:
            yield f"### {title}"
            yield "\n".join(lines)


def _dependency(dependency: Dependency) -> str:
    port = (dependency.url or "").rpartition(":")[2]
    return f"- **{dependency.name}**" + (f" ({port})" if port.isdecimal() else "")
