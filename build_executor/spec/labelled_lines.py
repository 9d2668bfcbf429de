"""Lines such as `Returns: id, name`: what the word before the colon makes of the rest."""

import re
from collections.abc import Callable

from build_executor.spec.body_examples import REQUEST_WORDS, RESPONSE_WORDS, body_of
from build_executor.spec.drafts import Draft
from build_executor.spec.json_reader import read_examples, type_word
from build_executor.spec.markdown import Block
from build_executor.spec.sentences import (
    BRACKETED,
    add_errors,
    add_query,
    add_stated,
    add_success,
    describe,
    names_in,
)

_QUERY = re.compile(r"quer(?:y|ies)|param|filter")
_LEAD = re.compile(
    r"^(?:a |an |the )?(?:json(?: (?:body|object|payload))?|body|object|any(?: combination)?|some"
    r"|one or more)\s+(?:with|of|containing)\s+(?:the fields? )?",
    re.IGNORECASE,
)
_LIST_OF = re.compile(
    r"\b(optional )?(?:query )?(?:filters?|parameters?|params?|fields?)\s*\(([^()]*)\)",
    re.IGNORECASE,
)


def add_labelled(draft: Draft, key: str, value: str, piece: Block) -> bool:
    """One `Key: value` line; False if the key means nothing here."""
    for pattern, add in _FIELDS:
        if pattern.search(key):
            add(draft, key, value, piece)
            return True
    return False


def _add_description(draft: Draft, _key: str, value: str, _piece: Block) -> None:
    describe(draft, value)


def _add_failures(draft: Draft, _key: str, value: str, _piece: Block) -> None:
    add_errors(draft, value)


def _add_code(draft: Draft, _key: str, value: str, _piece: Block) -> None:
    add_success(draft, value)


def _add_auth(draft: Draft, _key: str, value: str, _piece: Block) -> None:
    draft.secured = value.lower() not in {"", "none", "public", "no"}
    draft.prose.append(f"auth: {value}")


def _add_input(draft: Draft, _key: str, value: str, piece: Block) -> None:
    documents = read_examples(value)
    if documents:
        draft.request = draft.request or body_of(documents[0], piece.line)
        return
    add_query(draft, value)
    value = _LIST_OF.sub(_opened, _LEAD.sub("", value))
    plain_value, optional = _split_optional(value)
    add_stated(draft, value)
    draft.inputs.extend(names_in(plain_value))
    names = list(names_in(optional))
    draft.inputs.extend(names)
    draft.optional_inputs.extend(names)


def _opened(found: re.Match[str]) -> str:
    """`Optional filters (a, b)` names `a` and `b`."""
    return f"optional {found[2]}" if found[1] else found[2]


def _split_optional(value: str) -> tuple[str, str]:
    found = re.search(r"\boptional(?: filters?| parameters?)?\s*:?\s+(?=\w)", value, re.IGNORECASE)
    return (value[: found.start()], value[found.end() :]) if found else (value, "")


def _add_output(draft: Draft, key: str, value: str, piece: Block) -> None:
    add_success(draft, key)
    documents = read_examples(value)
    if documents:
        draft.response = draft.response or body_of(documents[0], piece.line)
        return
    draft.prose.append(f"returns: {value}")
    names = list(names_in(value))
    bare = re.sub(r"\([^)]*\)", "", value)
    parts = [part for part in re.split(r"[,;]|\band\b", bare) if part.strip()]
    if names and len(names) == len(parts):
        draft.outputs.extend(names)
        for name, inside in BRACKETED.findall(value):
            hint = type_word(inside.split(" ")[0])
            if hint is not None:
                draft.promised[name] = dict(hint.shape)


def _add_parameters(draft: Draft, _key: str, value: str, _piece: Block) -> None:
    add_query(draft, value)
    if "?" not in value:
        for name in names_in(value):
            draft.query.setdefault(name, None)


_FIELDS: tuple[tuple[re.Pattern[str], Callable[[Draft, str, str, Block], None]], ...] = (
    (re.compile(r"^(?:purpose|description|summary|what)"), _add_description),
    (re.compile(r"^(?:error|fail)"), _add_failures),
    (re.compile(r"^(?:success|status)"), _add_code),
    (re.compile(r"^auth"), _add_auth),
    (_QUERY, _add_parameters),
    (RESPONSE_WORDS, _add_output),
    (REQUEST_WORDS, _add_input),
)
