"""Data models written as SQL tables in a SPEC: read as text, never executed."""

import re
from collections.abc import Iterator
from typing import cast

from pydantic import JsonValue

from build_executor.spec.contract import Shape
from build_executor.spec.naming import pascal, singular, snake
from build_executor.spec.python_models import PythonModel
from build_executor.spec.shapes import nullable

_TABLE = re.compile(
    r"\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?[`\"\[]?(?:\w+\.)?(?P<name>\w+)[`\"\]]?\s*\(",
    re.IGNORECASE,
)
_COLUMN = re.compile(
    r"^[`\"\[]?(?P<name>[A-Za-z_]\w*)[`\"\]]?\s+(?P<type>[A-Za-z]+)(?P<rest>.*)$", re.DOTALL
)
_TYPES: tuple[tuple[str, Shape], ...] = (
    (r"bool", {"type": "boolean"}),
    (r"(?:big|small|tiny)?int|(?:big|small)?serial", {"type": "integer"}),
    (r"numeric|decimal|real|double|float|money", {"type": "number"}),
    (r"timestamp|datetime", {"type": "string", "format": "date-time"}),
    (r"date", {"type": "string", "format": "date"}),
    (r"json", {"type": "object"}),
    (r"", {"type": "string"}),
)
_BOUND = re.compile(r"(?P<sign>>=|<=|>|<)\s*(?P<number>-?\d+(?:\.\d+)?)")
_BETWEEN = re.compile(r"\bBETWEEN\s+(-?\d+(?:\.\d+)?)\s+AND\s+(-?\d+(?:\.\d+)?)", re.IGNORECASE)
_SIGNS = {">=": "minimum", ">": "exclusiveMinimum", "<=": "maximum", "<": "exclusiveMaximum"}
_CONSTRAINTS = frozenset({"primary", "foreign", "unique", "check", "constraint", "key", "index"})
_MOST_COLUMNS = 200


def read_tables(text: str, first_line: int) -> Iterator[PythonModel]:
    """The tables that a block of SQL creates, each as the class of its rows."""
    text = re.sub(r"--[^\n]*", "", text)
    for found in _TABLE.finditer(text):
        parts = list(_parts(text, found.end()))[:_MOST_COLUMNS]
        line = first_line + text.count("\n", 0, found.start())
        model = _model(pascal(singular(snake(found["name"]))), parts, line)
        if model.fields:
            yield model


def _parts(text: str, start: int) -> Iterator[str]:
    """What stands between the commas of a table, up to its closing bracket."""
    depth, begin = 0, start
    for position in range(start, len(text)):
        character = text[position]
        if character in ",)" and depth == 0:
            yield text[begin:position].strip()
            begin = position + 1
            if character == ")":
                return
        depth += {"(": 1, ")": -1}.get(character, 0)


def _model(name: str, parts: list[str], line: int) -> PythonModel:
    columns = [found for part in parts if (found := _COLUMN.match(part)) and _is_column(found)]
    fields = {column["name"]: _shape(column) for column in columns}
    defaults: dict[str, JsonValue] = {}
    for column in columns:
        defaults.update((column["name"], value) for value in _default(column["rest"]))
    unique = [c["name"] for c in columns if re.search(r"\bUNIQUE\b", c["rest"], re.IGNORECASE)]
    unique += [
        found[1]
        for part in parts
        if (
            found := re.match(
                r"(?:CONSTRAINT\s+\w+\s+)?UNIQUE\s*\(\s*(\w+)\s*\)", part, re.IGNORECASE
            )
        )
    ]
    needed = tuple(column["name"] for column in columns if _is_needed(column))
    return PythonModel(name, fields, needed, defaults, tuple(unique), line)


def _is_column(found: re.Match[str]) -> bool:
    return found["name"].lower() not in _CONSTRAINTS


def _is_needed(column: re.Match[str]) -> bool:
    rest = column["rest"].upper()
    given = "DEFAULT" in rest or "SERIAL" in column["type"].upper() or "AUTO" in rest
    return ("NOT NULL" in rest or "PRIMARY KEY" in rest) and not given


def _shape(column: re.Match[str]) -> Shape:
    kind, rest = column["type"].lower(), column["rest"]
    known = next(shape for pattern, shape in _TYPES if re.match(pattern, kind))
    shape = {**known, **_bounds(column["name"], rest)}
    length = re.match(r"\s*\((\d+)\)", rest)
    if length and kind in {"varchar", "char", "character", "nvarchar"} and "enum" not in shape:
        shape["maxLength"] = int(length[1])
    is_needed = re.search(r"NOT\s+NULL|PRIMARY\s+KEY|DEFAULT", rest, re.IGNORECASE)
    return shape if is_needed or kind.endswith("serial") else nullable(shape)


def _bounds(name: str, rest: str) -> Shape:
    """What `CHECK (...)` and `ENUM(...)` demand."""
    check = re.search(r"\bCHECK\s*\((.*)\)", rest, re.IGNORECASE | re.DOTALL)
    inside = check[1] if check else ""
    bounds: Shape = {}
    words = re.search(r"\bIN\s*\((.*?)\)", inside, re.IGNORECASE | re.DOTALL)
    listed = words[1] if words else rest if re.match(r"\s*\(\s*'", rest) else ""
    found = re.findall(r"'([^']*)'", listed.split("DEFAULT")[0])
    if found:
        bounds["enum"] = cast("list[JsonValue]", list(dict.fromkeys(found)))
    if between := _BETWEEN.search(inside):
        bounds |= {"minimum": _number(between[1]), "maximum": _number(between[2])}
    for sign, number in _BOUND.findall(re.sub(rf"\b{re.escape(name)}\b", "", inside)):
        bounds[_SIGNS[sign]] = _number(number)
    return bounds


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _default(rest: str) -> Iterator[JsonValue]:
    found = re.search(
        r"\bDEFAULT\s+(?:'([^']*)'|(-?\d+(?:\.\d+)?)\b|(TRUE|FALSE)\b)", rest, re.IGNORECASE
    )
    if found is None:
        return
    if found[2]:
        yield _number(found[2])
    elif found[3]:
        yield found[3].lower() == "true"
    else:
        yield found[1]
