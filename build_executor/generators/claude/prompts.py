"""Prompts are files with a version; what a SPEC says is data inside them and never instruction.

A prompt's text is fixed, its data is put behind it. Each piece of data stands between marks that
hold a digest of the piece itself, so no text can contain its own end, and characters that a reader
does not see are shown by their numbers. The same data gives the same bytes in every attempt: what
comes first is cached by the provider.
"""

import hashlib
import re
import unicodedata
from functools import cache
from pathlib import Path

from build_executor.models import Value

_FOLDER = Path(__file__).with_name("prompts")
_FRONT_MATTER = re.compile(r"---\nname: (?P<name>\w+)\nversion: (?P<version>\d+)\n---\n")
_KEPT = frozenset("\n\t")
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


class Prompt(Value):
    """One file of instructions."""

    name: str
    version: int
    text: str

    def __str__(self) -> str:
        """How a report names it."""
        return f"{self.name} {self.version}"


@cache
def prompt(name: str) -> Prompt:
    """The prompt of this name; ValueError if its file does not begin as it should."""
    whole = (_FOLDER / f"{name}.md").read_text()
    found = _FRONT_MATTER.match(whole)
    if found is None or found["name"] != name:
        raise ValueError(f"{name}.md does not begin with its name and version")
    return Prompt(name=name, version=int(found["version"]), text=whole[found.end() :].strip())


def versions() -> dict[str, int]:
    """All prompts with their versions, for the report of a build."""
    names = sorted(path.stem for path in _FOLDER.glob("*.md"))
    return {name: prompt(name).version for name in names}


def data(kind: str, text: str) -> str:
    """A piece of data between marks that only its own digest could forge."""
    shown = visible(text)
    mark = hashlib.sha256(f"{kind}\0{shown}".encode()).hexdigest()[:24]
    return f'<data kind="{kind}" mark="{mark}">\n{shown}\n</data mark="{mark}">'


def visible(text: str) -> str:
    """The text with every character that cannot be seen shown by its number, and no mark in it."""
    shown = "".join(_shown(character) for character in text)
    return re.sub(r"<(?=/?\s*data\b)", "&lt;", shown, flags=re.IGNORECASE)


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _HIDDEN:
        return character
    return f"\\u{{{ord(character):x}}}"
