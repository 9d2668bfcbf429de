"""Names for code and for the mesh, made from whatever a SPEC calls things.

Everything that ends up as an identifier, a file name or a slug passes through here: the result
matches a fixed pattern whatever the text was, so a SPEC's text can never become code.
"""

import keyword
import re
import unicodedata

_SLUG_LIMIT = 63
_IDENTIFIER_LIMIT = 80
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IRREGULAR = {"people": "person", "children": "child", "indices": "index", "statuses": "status"}
_SAME = frozenset(
    {"status", "news", "series", "analytics", "metrics", "settings", "bus", "history"}
)
_RESERVED = frozenset(
    {"print", "requests", "self", "cls", "id", "type", "list", "dict", "str", "int"}
)


def slug(text: str) -> str:
    """Lower case words joined by hyphens; empty if the text has no letter or digit in ASCII."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")[:_SLUG_LIMIT].strip("-")


def snake(text: str) -> str:
    """A lower-case identifier: no keyword, no leading digit or underscore, never empty."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9]+", "_", _CAMEL.sub("_", ascii_text)).strip("_").lower()
    words = re.sub(r"_+", "_", words)[:_IDENTIFIER_LIMIT].strip("_") or "value"
    if words[0].isdigit():
        words = f"n_{words}"
    return f"{words}_" if keyword.iskeyword(words) or keyword.issoftkeyword(words) else words


def variable(text: str) -> str:
    """Like `snake`, and no name of a builtin that generated code uses."""
    name = snake(text)
    return f"{name}_" if name in _RESERVED else name


def pascal(text: str) -> str:
    """A class name."""
    return "".join(word.capitalize() for word in snake(text).split("_") if word)


def singular(noun: str) -> str:
    """The singular of an English noun in snake case, as far as rules go."""
    head, _, last = noun.rpartition("_")
    prefix = f"{head}_" if head else ""
    if last in _IRREGULAR:
        return prefix + _IRREGULAR[last]
    if last in _SAME or last.endswith("ss"):
        return noun
    for ending, replacement in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch")):
        if last.endswith(ending) and len(last) > len(ending) + 1:
            return prefix + last[: -len(ending)] + replacement
    return prefix + last.removesuffix("s")


def plural(noun: str) -> str:
    """The plural of an English noun in snake case, as far as rules go."""
    last = noun.rpartition("_")[2]
    if (noun.endswith("s") and singular(noun) != noun) or last in _SAME - {"status", "bus"}:
        return noun
    if last in _IRREGULAR:
        return noun
    for many, single in _IRREGULAR.items():
        if single == last:
            return noun.removesuffix(last) + many
    if noun.endswith("y") and noun[-2:-1] not in set("aeiou"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def is_plural(noun: str) -> bool:
    """Whether the noun reads as a plural."""
    return singular(noun) != noun


def unique_name(name: str, taken: set[str]) -> str:
    """The name, with a number if it is taken; it is taken from then on."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    taken.add(candidate)
    return candidate
