"""What the text around an endpoint says of it: bodies, codes, inputs, outputs, in any dialect."""

import re
from collections.abc import Sequence

from build_executor.spec.body_examples import add_curl, add_documents, add_example
from build_executor.spec.drafts import Draft
from build_executor.spec.field_statements import add_listed, add_row, add_statement
from build_executor.spec.json_reader import read_examples
from build_executor.spec.labelled_lines import add_labelled
from build_executor.spec.markdown import Block, plain_text
from build_executor.spec.route_functions import add_decorator, add_signature
from build_executor.spec.routes import Mention
from build_executor.spec.sentences import (
    SUMMARY_LIMIT,
    add_body_sentence,
    add_errors,
    add_query,
    add_query_sentence,
    add_success,
    describe,
)

_FIELD = re.compile(r"^(?P<key>[A-Za-z][\w \-/()]{0,34}?)\s*:\s*(?P<value>.*)$", re.DOTALL)
_EXAMPLE_FENCES = frozenset(
    ["json", "jsonc", "javascript", "js", "bash", "http", "text", "python", "sh", "shell"]
) | {""}
_LABEL = re.compile(
    r"^(?:example |sample |json )?(?:request|response|return|output|input|body|payload|error)s?\b",
    re.IGNORECASE,
)


def read_draft(mention: Mention, pieces: Sequence[Block]) -> Draft:
    """The endpoint with everything its blocks say; `pieces` begins right after the mention."""
    draft = Draft(mention.method, mention.path, mention.line)
    draft.section = pieces[0].section if pieces else ""
    add_query(draft, f"?{mention.query}" if mention.query else "")
    if mention.source == "decorator":
        add_decorator(draft, mention.rest)
    else:
        _add_rest(draft, mention.rest)
    label = ""
    for piece in pieces:
        label = _add_piece(draft, piece, label)
    if not draft.summary and pieces and pieces[0].headings:
        draft.summary = re.sub(r"^[\d.)\s]+", "", pieces[0].headings[-1])[:SUMMARY_LIMIT]
    return draft


def _add_piece(draft: Draft, piece: Block, label: str) -> str:
    """Reads one block; what it says of a fence that follows."""
    match piece.kind:
        case "fence":
            _add_fence(draft, piece, label)
        case "heading":
            return plain_text(piece.text)
        case "row":
            add_row(draft, piece.text)
        case "item" if add_listed(draft, piece, label):
            return label
        case _:
            return _add_lines(draft, piece)
    return ""


def _add_rest(draft: Draft, rest: str) -> None:
    """What stands behind the path on its own line: a comment, a dash and a description."""
    text = plain_text(rest).lstrip(" -:#\u2013\u2014\u2192>)/").strip()
    text = add_documents(draft, text)
    add_query(draft, text)
    add_query_sentence(draft, text)
    add_body_sentence(draft, text)
    add_success(draft, re.sub(r"\b[45]\d\d\b[^,;.]*", "", text))
    add_errors(draft, ", ".join(re.findall(r"\b4\d\d\b[^,;.]*", text)))
    if text and not re.fullmatch(r"(?:HTTP/[\d.]+|\(.*|[\W_]*)", text):
        describe(draft, text)


def _add_lines(draft: Draft, piece: Block) -> str:
    """Reads prose; the last line is the label of a fence that follows."""
    last = ""
    for _, line in piece.numbered_lines():
        text = plain_text(line)
        if not text:
            continue
        last = text if _is_label(text) else ""
        found = _FIELD.match(text)
        if add_statement(draft, line):
            continue
        if found is None or not add_labelled(
            draft, found["key"].lower(), found["value"].strip(), piece
        ):
            add_query_sentence(draft, text)
            add_query(draft, text)
            draft.prose.append(text)
            if not draft.summary and not _is_label(text):
                draft.summary = text[:SUMMARY_LIMIT]
    return last


def _is_label(text: str) -> bool:
    return text.endswith(":") or bool(_LABEL.match(text))


def _add_fence(draft: Draft, piece: Block, label: str) -> None:
    if piece.info.split(" ")[0] not in _EXAMPLE_FENCES:
        return
    if "def " in piece.text:
        add_signature(draft, piece)
    if "curl" in piece.text:
        add_curl(draft, piece)
        return
    _add_call_queries(draft, piece.text)
    for document in read_examples(piece.text):
        add_example(draft, document, piece, document.label or label)


def _add_call_queries(draft: Draft, text: str) -> None:
    for line in text.split("\n"):
        called = re.match(rf"\s*(?://|#)?.*?{re.escape(draft.path)}(\?\S+)", line)
        if called or re.search(r"quer", line, re.IGNORECASE):
            add_query(draft, called[1] if called else line)
