"""The JSON that people write in SPECs: comments, ellipses, type words, several documents a block.

The general tolerant readers either fail on it or merge a request and a response into one object;
this one never guesses a structure. What is not a value (`{...}`, `float`, `"idle" | "busy"`)
becomes a `Hint` that carries what the text says about the shape.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

_DEEPEST = 40
_SPACE = re.compile(r"[\s,]*")
_COMMENT = re.compile(r"//[^\n]*|#[^\n]*|/\*.*?\*/", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_RANGE = re.compile(r"[+-]?\d+(?:\.\d+)?\s*(?:-|\.\.|to)\s*\d+(?:\.\d+)?")
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'')
_WORD = re.compile(r"[^\s,{}\[\]|\"'#][^,{}\[\]|\n\"#]*")
_CONSTANTS: dict[str, JsonValue] = {
    "true": True,
    "false": False,
    "null": None,
    "none": None,
}
_OPTIONAL = re.compile(r"\s*(?:[(,]\s*(?:optional|nullable)\s*\)?|\?)$")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_TYPE_WORDS: dict[str, dict[str, JsonValue]] = {
    "string": {"type": "string"},
    "str": {"type": "string"},
    "text": {"type": "string"},
    "uuid": {"type": "string"},
    "email": {"type": "string", "format": "email"},
    "url": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time"},
    "timestamp": {"type": "string", "format": "date-time"},
    "iso8601": {"type": "string", "format": "date-time"},
    "iso datetime": {"type": "string", "format": "date-time"},
    "iso timestamp": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "int": {"type": "integer"},
    "integer": {"type": "integer"},
    "float": {"type": "number"},
    "number": {"type": "number"},
    "decimal": {"type": "number"},
    "bool": {"type": "boolean"},
    "boolean": {"type": "boolean"},
    "object": {"type": "object"},
    "dict": {"type": "object"},
    "array": {"type": "array"},
    "list": {"type": "array"},
}


@dataclass(frozen=True, slots=True)
class Hint:
    """A place in an example that says what may stand there instead of a value."""

    shape: dict[str, JsonValue] = field(default_factory=dict)


Node = dict[str, "Node"] | list["Node"] | Hint | JsonValue


@dataclass(frozen=True, slots=True)
class Example:
    """One document of a block: its value, the text right before it, and its line in the block."""

    value: Node
    label: str
    line: int


class _NotJsonError(ValueError):
    """The text at this place is no value."""


def type_word(word: str) -> Hint | None:
    """What a word such as `float` or `ISO datetime` says about a value's shape."""
    spoken = word.strip().lower()
    plain_word = _OPTIONAL.sub("", spoken)
    shape = _TYPE_WORDS.get(plain_word)
    if shape is None:
        return None
    return Hint({**shape, "type": [shape["type"], "null"]} if plain_word != spoken else dict(shape))


def read_examples(text: str) -> tuple[Example, ...]:
    """Every document in the text; text that is no document labels the next one."""
    return tuple(_examples(text))


def _examples(text: str) -> Iterator[Example]:
    label: list[str] = []
    position = 0
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        start = position + len(text[position:end]) - len(text[position:end].lstrip())
        found = _document(text, start)
        if found is None:
            label.append(text[position:end].strip())
            position = end + 1
            continue
        value, position = found
        yield Example(value, _joined(label), text.count("\n", 0, start))
        label = []


def _joined(label: list[str]) -> str:
    return next((line for line in reversed(label) if line), "")[-200:]


def _document(text: str, start: int) -> tuple[Node, int] | None:
    if text[start : start + 1] not in {"{", "["}:
        return None
    reader = _Reader(text, start)
    try:
        return reader.value(0), reader.position
    except (_NotJsonError, RecursionError):
        return None


def plain(node: Node) -> JsonValue:
    """The example as JSON: hints become null."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    return None if isinstance(node, Hint) else node


class _Reader:
    def __init__(self, text: str, position: int) -> None:
        self.text, self.position = text, position

    def value(self, depth: int) -> Node:
        """The value here, with its `|` alternatives."""
        first = self._single(depth)
        options = [first]
        while self._skip_line_space() == "|":
            self.position += 1
            self._skip()
            options.append(self._single(depth))
        return first if len(options) == 1 else _one_of(options)

    def _single(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise _NotJsonError("nested too deeply")
        self._skip()
        match self.text[self.position : self.position + 1]:
            case "{":
                return self._object(depth)
            case "[":
                return self._array(depth)
            case '"' | "'":
                return _placeholder(self._string())
            case _:
                return self._word()

    def _object(self, depth: int) -> Node:
        self.position += 1
        members: dict[str, Node] = {}
        while (character := self._skip()) != "}":
            if character not in {'"', "'"}:
                self._filler()
                continue
            key = self._string()
            if self._skip() == ":":
                self.position += 1
                value = self.value(depth + 1)
                members[key] = "email" if _is_word_email(key, value) else value
        self.position += 1
        return members or Hint({"type": "object"})

    def _array(self, depth: int) -> Node:
        self.position += 1
        items: list[Node] = []
        while self._skip() != "]":
            if self.text.startswith("...", self.position):
                self._filler()
            else:
                items.append(self.value(depth + 1))
        self.position += 1
        return items

    def _filler(self) -> None:
        """Pass over `...` and words between members; anything else is no JSON."""
        for pattern in (r"\.\.\.[^\n{}\[\]\"]*", r"…[^\n{}\[\]\"]*", r"[A-Za-z_<][^\n{}\[\]\":,]*"):
            match = re.compile(pattern).match(self.text, self.position)
            if match:
                self.position = match.end()
                if self.text[self.position : self.position + 1] == ":":
                    raise _NotJsonError("a key without quotes")
                return
        raise _NotJsonError("neither a member nor an ellipsis")

    def _string(self) -> str:
        match = _STRING.match(self.text, self.position)
        if match is None:
            raise _NotJsonError("a string without an end")
        self.position = match.end()
        body = match[0][1:-1]
        return _unescaped(body) if "\\" in body else body

    def _word(self) -> Node:
        if match := _RANGE.match(self.text, self.position):
            self.position = match.end()
            return Hint({"type": "number"})
        if match := _NUMBER.match(self.text, self.position):
            self.position = match.end()
            return _number(match[0])
        match = _WORD.match(self.text, self.position)
        if match is None:
            raise _NotJsonError("no value")
        self.position = match.end()
        word = match[0].split("//")[0].strip()
        if word.lower() in _CONSTANTS:
            return _CONSTANTS[word.lower()]
        return type_word(word) or Hint({})

    def _skip(self) -> str:
        """Pass over space, commas and comments; the character that follows."""
        while True:
            match = _SPACE.match(self.text, self.position)
            self.position = match.end() if match else self.position
            comment = _COMMENT.match(self.text, self.position)
            if comment is None:
                break
            self.position = comment.end()
        if self.position >= len(self.text):
            raise _NotJsonError("the text ends inside a document")
        return self.text[self.position]

    def _skip_line_space(self) -> str:
        while self.text[self.position : self.position + 1] in {" ", "\t"}:
            self.position += 1
        return self.text[self.position : self.position + 1]


def _unescaped(body: str) -> str:
    """Two escapes may be one character; half a character is none."""
    text = re.sub(r"\\(u[0-9a-fA-F]{4}|.)", _unescape, body)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPES.get(code, code)


def _number(text: str) -> int | float:
    digits = text.replace("_", "")
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def _is_word_email(key: str, value: Node) -> bool:
    """`"channel": "email"` is one of the channels, not a place for an address."""
    is_address = isinstance(value, Hint) and value.shape.get("format") == "email"
    return is_address and not re.search(
        r"mail|contact|address|login|user|recipient|to$", key.lower()
    )


def _placeholder(text: str) -> Node:
    """`"string"` and `"queued|running"` describe a value; `"..."` says nothing about it."""
    if text.strip() in {"...", "…", ""}:
        return Hint({"type": "string"}) if text.strip() else text
    if re.fullmatch(r"[\w-]+(?:\s*\|\s*[\w-]+)+", text):
        return Hint({"type": "string", "enum": [word.strip() for word in text.split("|")]})
    return type_word(text) or text


def _one_of(options: list[Node]) -> Node:
    """Alternatives as one hint: an enumeration of texts, or the first with null allowed."""
    texts: list[JsonValue] = [option for option in options if isinstance(option, str)]
    if len(texts) == len(options):
        return Hint({"type": "string", "enum": texts})
    real = [option for option in options if option is not None]
    if len(real) == len(options):
        return real[0]
    if texts and len(real) == len(texts):
        one: dict[str, JsonValue] = {"type": "string"}
        return _hint_or_null([Hint({**one, "enum": texts} if len(texts) > 1 else one)])
    return _hint_or_null(real)


def _hint_or_null(real: Sequence[Node]) -> Hint:
    """`float | null`: what the one hint says, or null; `{}` if there is more than one thing."""
    shape = real[0].shape if len(real) == 1 and isinstance(real[0], Hint) else {}
    kinds: list[JsonValue] = [shape.get("type"), "null"]
    enum = shape.get("enum")
    words: dict[str, JsonValue] = {"enum": [*enum, None]} if isinstance(enum, list) else {}
    return Hint({**shape, **words, "type": kinds} if shape else {})
