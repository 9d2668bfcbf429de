"""What one phrase says of an endpoint: its query, its fields, its codes, its description."""

import re
from collections.abc import Iterator

from build_executor.spec.drafts import Draft
from build_executor.spec.json_reader import type_word
from build_executor.spec.statements import read_statement

_QUERY_PAIR = re.compile(r"[?&]([A-Za-z_]\w*)(?:=([^&\s`)\"']*))?")
_STATUS = re.compile(r"\b([1-5]\d\d)\b(?!\s*(?:ms|seconds|%|/))")
_NAME = re.compile(r"^[`\"']?([a-z][a-z0-9_]{0,48})[`\"']?(?:\s*[(:=\-\u2013\u2014].*|\?)?$")
BRACKETED = re.compile(r"([a-z][a-z0-9_]{0,48})[`\"']?\s*\(([^()]{1,80})\)")
"""A name and what stands in brackets behind it."""
_QUERY_SENTENCE = re.compile(
    r"(?:^|[.;,(]\s+|\s[-\u2013\u2014]\s)(?:(?:optional |supported |url )?(?:query|filter)s?"
    r"(?:[ -](?:params?|parameters?|string))?|(?:query |url )?param(?:eter)?s?)\s*:\s*"
    r"(?P<names>[^:]+?)(?:\.\s|\.?$)",
    re.IGNORECASE,
)
_BODY_SENTENCE = re.compile(
    r"(?:^|[.;,(]\s+|\s[-\u2013\u2014]\s)(?:json |request )*(?:body|payload|fields)\s*:\s*"
    r"(?P<names>[^:]+?)(?:\.\s|\.?$)",
    re.IGNORECASE,
)
_FILTERED = re.compile(r"\bfilter(?:ed|able|s)?\s+(?:by|on)\s+(?P<names>[\w, ]+)", re.IGNORECASE)
SUMMARY_LIMIT = 200
"""The most characters that a summary has."""


def describe(draft: Draft, text: str) -> None:
    """Adds prose; its first line is the summary unless there is one."""
    if not draft.summary:
        draft.summary = text.split("\n", maxsplit=1)[0][:SUMMARY_LIMIT]
    draft.prose.append(text)


def add_body_sentence(draft: Draft, text: str) -> None:
    """Such as `Adds a doctor. Body: name (string, required), phone (string, optional)`."""
    found = _BODY_SENTENCE.search(text)
    if found is None or draft.method not in {"POST", "PUT", "PATCH"}:
        return
    add_stated(draft, found["names"])
    draft.inputs.extend(names_in(found["names"]))
    for name, inside in BRACKETED.findall(found["names"]):
        draft.statements.setdefault(name, read_statement(inside))


def add_query_sentence(draft: Draft, text: str) -> None:
    """Such as `Lists all. Query parameters: author (exact)`, or `Lists, filtered by author`."""
    found = _QUERY_SENTENCE.search(text)
    if found is None and draft.method == "GET":
        found = _FILTERED.search(text)
    if found is None:
        return
    add_stated(draft, found["names"])
    for name in names_in(found["names"].strip().rstrip(".")):
        draft.query.setdefault(name, None)


def add_errors(draft: Draft, text: str) -> None:
    """Adds each refusal that is named, with the words that say when."""
    parts = re.split(r"[,;]\s*(?=[45]\d\d)", text)
    for part in parts:
        for code in _STATUS.findall(part):
            draft.errors.setdefault(int(code), part.strip())


def add_success(draft: Draft, text: str) -> None:
    """Sets the code of success to the first that is named, unless it is known."""
    codes = [int(code) for code in _STATUS.findall(text) if code.startswith(("2", "3"))]
    if codes and draft.success is None:
        draft.success = codes[0]


def add_stated(draft: Draft, value: str) -> None:
    """`weight (float, required)`: the type and the need that brackets state."""
    for name, inside in BRACKETED.findall(value):
        words = [word.strip().lower() for word in inside.split(",")]
        hint = next((known for word in words if (known := type_word(word))), None)
        if hint is not None:
            draft.stated[name] = hint.shape
        if "required" in words:
            draft.required_inputs.append(name)
        if "optional" in words:
            draft.optional_inputs.append(name)


def names_in(value: str) -> Iterator[str]:
    """The field names of an enumeration in prose."""
    value = re.sub(r"\([^)]*\)", "", value)
    for part in re.split(r"[,;]|\band\b", value):
        found = _NAME.match(part.strip())
        if found and found[1] not in {"none", "n", "optional", "required", "and", "json"}:
            yield found[1]


def add_query(draft: Draft, text: str) -> None:
    """Adds the parameters of a query as it stands in an address."""
    if "?" in text and "=" in text:
        for name, sample in _QUERY_PAIR.findall(text):
            draft.query.setdefault(name, sample or None)
