"""What a sentence says of one field.

Such as `integer between 1 and 5, default 3`, `required, 1 to 80 characters`, `one of a, b, c`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import JsonValue

from build_executor.spec.contract import Shape
from build_executor.spec.json_reader import type_word

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_UNIT = r"(?P<unit>\s*(?:characters?|chars?|items?|entries|elements))?"
_OF = r"(?:imum|\.)?(?:\s+length)?(?:\s+of)?:?"
_RANGE = re.compile(
    rf"(?P<word>between\s+|range:?\s+)?[\[(]?{_NUMBER}\s*(?:-|\u2013|\.\.\.?|to|and|,)\s*{_NUMBER}"
    rf"[\])]?{_UNIT}"
)
_LEAST = re.compile(
    rf"(?:at least|min{_OF}|not less than|no less than|>=|\u2265)\s*{_NUMBER}{_UNIT}"
)
_MOST = re.compile(
    rf"(?:at most|max{_OF}|up to|not more than|no more than|<=|\u2264)\s*{_NUMBER}{_UNIT}"
)
_MORE = re.compile(rf"(?:greater than|more than|(?<![<>=])>(?!=)|above)\s*{_NUMBER}")
_LESS = re.compile(rf"(?:less than|(?<![<>=])<(?!=)|below)\s*{_NUMBER}")
_ONE_OF = re.compile(
    r"\b(?:one of|either|values?|enum|allowed|options?)\b\s*:?\s*(?P<words>.+)$", re.IGNORECASE
)
_DEFAULT = re.compile(
    r"\bdefault(?:s to|ing to|s)?\s*[:=]?\s*[`\"']?(?P<value>[\w.+-]+)[`\"']?", re.IGNORECASE
)
_BARE = re.compile(r"^[`\"']?([A-Za-z][\w-]*)[`\"']?$")


@dataclass(slots=True)
class Statement:
    """What is demanded of a field; an empty one demands nothing."""

    shape: Shape = field(default_factory=dict)
    required: bool = False
    optional: bool = False
    unique: bool = False

    @property
    def says_something(self) -> bool:
        """Whether anything was understood."""
        return bool(self.shape) or self.required or self.optional or self.unique


def read_statement(text: str) -> Statement:
    """What a text that describes one field demands of it."""
    lowered = text.lower()
    statement = Statement()
    statement.optional = bool(re.search(r"\boptional\b|\bnot required\b", lowered))
    statement.required = not statement.optional and bool(
        re.search(r"\brequired\b|\bmandatory\b|\bmust be given\b", lowered)
    )
    statement.unique = bool(re.search(r"\bunique\b", lowered))
    statement.shape = _type(lowered) | _choice(text)
    statement.shape |= _bounds(lowered, statement.shape) if "enum" not in statement.shape else {}
    found = _DEFAULT.search(text)
    if found:
        value = _value(found["value"].rstrip("."), statement.shape)
        statement.shape |= {} if value is None else {"default": value}
    return statement


def _type(text: str) -> Shape:
    for word in re.findall(r"[a-z]+(?: datetime| timestamp)?", text)[:6]:
        hint = type_word(word)
        if hint is not None and word not in {"text", "list", "url", "email", "date"}:
            return dict(hint.shape)
    first = type_word(re.split(r"[\s,;(]", text.strip(), maxsplit=1)[0])
    return dict(first.shape) if first else {}


def _choice(text: str) -> Shape:
    found = _ONE_OF.search(re.split(r"\bdefault", text, flags=re.IGNORECASE)[0].strip(" ,;(.-"))
    ticked = re.findall(r"[`\"']([A-Za-z][\w-]*)[`\"']", text.split("default", maxsplit=1)[0])
    parts = re.split(r"\s*(?:,|\||/|\bor\b|\band\b)\s*", found["words"]) if found else []
    words = [m[1] for part in parts if (m := _BARE.match(part.strip().rstrip(".)")))]
    if not found or len(words) != len([part for part in parts if part.strip()]):
        words = ticked if found and len(ticked) > 1 else []
    listed = list(dict.fromkeys(words))
    return {"type": "string", "enum": [*listed]} if len(listed) > 1 else {}


def _bounds(text: str, shape: Shape) -> Shape:
    text = _DEFAULT.sub("", text)
    bounds: Shape = {}
    found = _RANGE.search(text)
    if found and (found["word"] or found["unit"] or shape):
        low, high = _words(found["unit"], shape)
        bounds |= {low: _number(found[2]), high: _number(found[3])}
        text = text.replace(found[0], "")
    bounds |= dict(_limits(text, shape))
    return bounds or dict(_signs(text))


def _limits(text: str, shape: Shape) -> Iterator[tuple[str, JsonValue]]:
    for pattern, index in ((_LEAST, 0), (_MOST, 1)):
        if found := pattern.search(text):
            yield _words(found["unit"], shape, found[0])[index], _number(found[1])
    for pattern, word in ((_MORE, "exclusiveMinimum"), (_LESS, "exclusiveMaximum")):
        if found := pattern.search(text):
            yield word, _number(found[1])


def _signs(text: str) -> Iterator[tuple[str, JsonValue]]:
    if re.search(r"\bnon[- ]?negative\b|\b(?:never|not) negative\b", text):
        yield "minimum", 0
    elif re.search(r"\bpositive\b", text):
        yield "exclusiveMinimum", 0


def _words(unit: str | None, shape: Shape, said: str = "") -> tuple[str, str]:
    """The words for bounds of a length, of a number of items, or of a number."""
    named = (unit or "").strip()
    if named.startswith("char") or "length" in said or shape.get("type") == "string":
        return "minLength", "maxLength"
    if named or shape.get("type") == "array":
        return "minItems", "maxItems"
    return "minimum", "maximum"


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _value(text: str, shape: Shape) -> JsonValue:
    """The default's value, if it is one that the field may have."""
    if text.lower() in {"none", "null", "now", "empty", "to", "is", "value", "current"}:
        return None
    try:
        value: JsonValue = json.loads(text.lower() if text.lower() in {"true", "false"} else text)
    except ValueError:
        value = text
    return str(text) if shape.get("type") == "string" else value


def refine(shape: Shape, path: str, statement: Shape) -> Shape:
    """The object with a statement added to the field at a dotted path, if it has that field."""
    name, _, rest = path.partition(".")
    members = shape.get("properties")
    if not isinstance(members, dict) or name not in members:
        return shape
    known = members[name]
    inner = known if isinstance(known, dict) else {}
    changed = refine(inner, rest, statement) if rest else dict(_joined(inner, statement))
    return {**shape, "properties": {**members, name: changed}}


def _joined(known: Shape, statement: Shape) -> Iterator[tuple[str, JsonValue]]:
    """The example's type yields to a stated one, but for what its format says."""
    yield from known.items()
    for word, value in statement.items():
        is_length = word in {"minimum", "maximum"} and known.get("type") == "string"
        if is_length:
            yield {"minimum": "minLength", "maximum": "maxLength"}[word], value
        elif word != "type" or "format" not in known:
            yield word, value
