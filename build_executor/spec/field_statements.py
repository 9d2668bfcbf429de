"""Bullets and rows that each name one field and state its type, its need, its limits."""

import re

from build_executor.spec.drafts import Draft
from build_executor.spec.markdown import Block, plain_text
from build_executor.spec.statements import Statement, read_statement

_STATED = re.compile(
    r"^(?:[-*]\s+)?(?P<tick>[`*]{0,3})(?P<path>[a-z]\w*(?:\.\w+)*)(?P=tick)\s*"
    r"(?::|\u2014|\u2013|-(?=\s)|(?=\())\s*(?P<text>.+)$",
    re.DOTALL,
)
_LISTS = re.compile(
    r"(?P<query>\bquer(?:y|ies)\b|\bfilters?\b)|(?P<body>\b(?:request|body|payload)\b)"
    r"|(?P<any>\bparam(?:eter)?s?\b|\bfields\b|\binputs?\b|\barguments\b)"
)
_LISTED = re.compile(
    r"^[`*]{0,3}(?P<path>[a-z]\w*(?:\.\w+)*)[`*]{0,3}\s*(?:$|(?::|\u2014|\u2013|-(?=\s)|(?=\())\s*(?P<text>.*)$)",
    re.DOTALL,
)
_FIELD_NAME = re.compile(r"[a-z]\w*(?:\.\w+)*")


def add_listed(draft: Draft, piece: Block, label: str) -> bool:
    """A bullet below `Query parameters:` or `Request body:` names one of them."""
    found = _LISTED.match(piece.text.strip())
    kind = _LISTS.search(label.lower())
    if found is None or kind is None or not label.rstrip().endswith(":"):
        return False
    name, text = found["path"], found["text"] or ""
    statement = read_statement(text)
    if statement.says_something:
        draft.statements.setdefault(name, statement)
    is_query = kind["query"] or (kind["any"] and draft.method in {"GET", "DELETE"})
    if f"{{{name}}}" in draft.path:
        return True
    if is_query:
        draft.query.setdefault(name, None)
    elif "." not in name:
        draft.inputs.append(name)
    draft.prose.append(text)
    return True


def add_statement(draft: Draft, line: str) -> bool:
    """`- `title`: required, 1 to 80 characters` and `| title | string | yes | ... |`."""
    found = _STATED.match(line.strip())
    statement = read_statement(found["text"]) if found else Statement()
    if found is None or not statement.says_something:
        return False
    draft.statements.setdefault(found["path"], statement)
    draft.prose.append(plain_text(line))
    return True


def add_row(draft: Draft, row: str) -> None:
    """A row of a table of fields: the name first, then its type, whether it is required, more."""
    cells = [plain_text(cell) for cell in row.split("\t")]
    if len(cells) < 2 or not _FIELD_NAME.fullmatch(cells[0]):  # noqa: PLR2004 - a name and a type
        return
    words = ["required" if c.lower() in {"yes", "true", "\u2713"} else c for c in cells[1:]]
    words = ["optional" if c.lower() in {"no", "false"} else c for c in words]
    statement = read_statement(", ".join(words))
    if statement.says_something:
        draft.statements.setdefault(cells[0], statement)
