"""Data models written as Markdown tables: one row a field, its name and its type, and remarks."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic import JsonValue

from build_executor.spec.contract import Shape
from build_executor.spec.markdown import Block, plain_text
from build_executor.spec.naming import pascal, singular, snake
from build_executor.spec.python_models import PythonModel
from build_executor.spec.routes import METHODS
from build_executor.spec.shapes import guess
from build_executor.spec.statements import Statement, read_statement

_NAME_HEADS = frozenset({"field", "name", "property", "attribute", "column", "key"})
_TYPE_HEADS = frozenset({"type", "data type", "datatype"})
_FIELD = re.compile(r"[A-Za-z]\w{0,48}")
_ROUTE = re.compile(rf"\b(?:{'|'.join(METHODS)}|WS)\s+/")
_ELSEWHERE = re.compile(r"environment|config|setting|param|header|depend|error|status code")
_NOISE = re.compile(
    r"\b(?:the|data|models?|schemas?|tables?|objects?|entity|entities|fields?|resources?"
    r"|structures?|definitions?|attributes?|properties)\b",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[a-z]\w*(?:\s*[,|/]\s*[a-z]\w*)+")
_BY_SERVER = re.compile(
    r"read[- ]?only|(?:set|assigned|filled|computed|counted|managed|maintained) by"
    r"|auto[- ]?(?:gen|inc|set)|\bgenerated\b|\bserver\b"
)


def read_field_tables(blocks: Sequence[Block]) -> Iterator[PythonModel]:
    """The data models that tables describe, named as the section they stand in."""
    for table in _tables(blocks):
        heads = [cell.lower() for cell in _cells(table[0])]
        names = [i for i, head in enumerate(heads) if head in _NAME_HEADS]
        types = [i for i, head in enumerate(heads) if head in _TYPE_HEADS]
        if names and types and not _is_elsewhere(table[0]):
            model = _model(table, names[0], heads)
            if model.fields:
                yield model


def _tables(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Rows that follow each other, one line after the other."""
    table: list[Block] = []
    for block in blocks:
        follows = bool(table) and block.kind == "row" and block.line <= table[-1].line + 2
        if table and not follows:
            yield table
            table = []
        if block.kind == "row":
            table.append(block)
    if table:
        yield table


def _cells(row: Block) -> list[str]:
    return [plain_text(cell) for cell in row.text.split("\t")]


def _is_elsewhere(row: Block) -> bool:
    """A table below an endpoint describes that endpoint's body; one of settings, no record."""
    if any(_ROUTE.search(heading) for heading in row.headings):
        return True
    return bool(row.headings) and bool(_ELSEWHERE.search(row.headings[-1].lower()))


def _model(table: list[Block], column: int, heads: list[str]) -> PythonModel:
    head = table[0]
    title = _NOISE.sub(" ", head.headings[-1] if head.headings else "").strip(" .:0123456789")
    name = pascal(singular(snake(title))) if title else "Record"
    model = PythonModel(name, {}, (), {}, (), head.line)
    for row in table[1:]:
        cells = _cells(row)
        if column < len(cells) and _FIELD.fullmatch(cells[column]):
            words = [
                _word(heads[index] if index < len(heads) else "", cell)
                for index, cell in enumerate(cells)
                if index != column
            ]
            words.sort(key=lambda word: word.startswith("default"))  # it ends a statement
            model = _with_field(model, cells[column], ", ".join(filter(None, words)))
    return model


def _word(head: str, cell: str) -> str:
    """`yes` in a column that asks whether a field is required says `required`."""
    said, lowered = cell.strip().lower(), head.lower()
    if said in {"yes", "true", "y", "\u2713", "\u2705", "required"}:
        return "unique" if "unique" in lowered else "required"
    if said in {"no", "false", "n", "-", "\u2014", ""}:
        return "" if "unique" in lowered else "optional" if "requir" in lowered else ""
    if _WORDS.fullmatch(said):
        return f"one of {cell}"
    return f"default {cell}" if lowered == "default" else cell


def _with_field(model: PythonModel, name: str, text: str) -> PythonModel:
    said = read_statement(text)
    default: JsonValue = said.shape.get("default")
    shape: Shape = {word: value for word, value in said.shape.items() if word != "default"}
    is_made_here = bool(_BY_SERVER.search(text.lower()))
    is_needed = said.required and not is_made_here
    shape = {**(shape or guess(name)), **({"readOnly": True} if is_made_here else {})}
    return replace(
        model,
        fields={**model.fields, name: shape},
        required=(*model.required, *([name] if is_needed else [])),
        defaults=model.defaults | ({} if default is None else {name: default}),
        unique=(*model.unique, *([name] if _is_unique(said) else [])),
    )


def _is_unique(said: Statement) -> bool:
    return said.unique
