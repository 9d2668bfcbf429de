"""How a SPEC's words enter generated text: as literals or as plain words, never as code."""

import json
import re
import textwrap
from collections.abc import Callable

from pydantic import JsonValue

from build_executor.spec.naming import variable

_PLAIN = re.compile(r"[^\w ,.;/&%+\-\u2013'{}]+")
_MARKER = re.compile(r"\b(todo|fixme)\b", re.IGNORECASE)
_SENTENCE_LIMIT = 90


def sentence(text: str, fallback: str = "") -> str:
    """Words for a docstring or comment: one line without quotes, backslashes, brackets, marks."""
    words = " ".join(_PLAIN.sub(" ", text).split())
    words = _MARKER.sub(lambda match: f"{match[0][:2]}-{match[0][2:]}", words)
    words = textwrap.shorten(words, _SENTENCE_LIMIT, placeholder="").strip(" ,;'-") or fallback
    return words.rstrip(".") + "."


def literal(value: JsonValue) -> str:
    """A Python literal of the value, in ASCII."""
    if isinstance(value, str):
        return text_literal(value)
    if isinstance(value, list):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, dict):
        members = (f"{text_literal(key)}: {literal(item)}" for key, item in value.items())
        return f"{{{', '.join(members)}}}"
    return repr(value)


def text_literal(text: str) -> str:
    """A string literal in double quotes that contains only ASCII."""
    return json.dumps(text) if text.isascii() and text.isprintable() else ascii(text)


def comment(text: str) -> str:
    """Words for a Markdown or ini file: one line without control or direction marks."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


FILTERS: dict[str, Callable[..., str]] = {
    "literal": literal,
    "identifier": variable,
    "sentence": sentence,
    "comment": comment,
}
