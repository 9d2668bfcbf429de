"""A text that a regular expression matches, for requests that must be accepted."""

import re
import warnings
from collections.abc import Callable, Iterable
from typing import Any, cast

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # its other name exists from 3.11 on only
    import sre_parse

_LETTERS = "a1A0_-. "


def matching(pattern: str) -> str | None:
    """A short text that the expression finds; None for one that is too special, or is none."""
    try:
        text = _of(cast("Any", sre_parse.parse(pattern)))
        return text if re.search(pattern, text) else None
    except (re.error, _TooSpecial, OverflowError, RecursionError):
        return None


class _TooSpecial(Exception):
    """Look-around and the like."""


def _of(items: Iterable[tuple[Any, Any]]) -> str:
    return "".join(_one(str(kind), value) for kind, value in items)


def _one(kind: str, value: Any) -> str:  # noqa: ANN401 - each kind has its own
    make = _MADE.get(kind)
    if make is None:
        raise _TooSpecial
    return make(value)


_MOST = 200


def _times(least: int, most: int) -> int:
    """Once where it may be absent: an empty text fits fewer rules."""
    if least > _MOST:
        raise _TooSpecial
    return max(least, min(1, most))


def _member(choices: list[tuple[Any, Any]]) -> str:
    kind, value = choices[0]
    match str(kind):
        case "RANGE":
            return chr(value[0])
        case "LITERAL":
            return chr(value)
        case "CATEGORY" if "NOT" not in str(value):
            return {"CATEGORY_DIGIT": "1", "CATEGORY_SPACE": " "}.get(str(value), "a")
        case _:
            return _outside(choices)


def _outside(choices: list[tuple[Any, Any]]) -> str:
    """The first usual character that is in the set, whatever it excludes."""
    negated = str(choices[0][0]) == "NEGATE"
    rest = choices[1:] if negated else choices
    for letter in _LETTERS:
        if negated != any(_fits(letter, str(kind), value) for kind, value in rest):
            return letter
    raise _TooSpecial


def _fits(letter: str, kind: str, value: Any) -> bool:  # noqa: ANN401 - each kind has its own
    match kind:
        case "RANGE":
            return bool(value[0] <= ord(letter) <= value[1])
        case "LITERAL":
            return bool(ord(letter) == value)
        case _:
            word = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[str(value).rsplit("_", 1)[-1]]
            return bool(re.match(word, letter)) != ("NOT" in str(value))


_MADE: dict[str, Callable[[Any], str]] = {
    "LITERAL": chr,
    "NOT_LITERAL": lambda value: "b" if value == ord("a") else "a",
    "ANY": lambda _value: "a",
    "AT": lambda _value: "",
    "SUBPATTERN": lambda value: _of(value[-1]),
    "BRANCH": lambda value: _of(value[1][0]),
    "MAX_REPEAT": lambda value: _of(value[2]) * _times(value[0], value[1]),
    "MIN_REPEAT": lambda value: _of(value[2]) * _times(value[0], value[1]),
    "IN": _member,
}
