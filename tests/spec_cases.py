"""The SPECs below `tests/specs/cases`, each with what a reader finds in it; a case needs no code.

`NAME.md`, `NAME.openapi.yaml` or `NAME.openapi.json` stands beside `NAME.expected.json`, which
holds either `refused` (reason and line) or: service, version, port and its source; `endpoints`
(all that the document states, with line, rule and status); `gaps` and `assumptions` (all lines,
none if left out, or "any"); and parts of `contract`, `resources`, `components`, `operations` (by
label).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "specs" / "cases"


@dataclass(frozen=True)
class Case:
    """A document and what is in it."""

    name: str
    text: str
    expected: dict[str, Any]

    def __str__(self) -> str:
        return self.name


def all_cases() -> tuple[Case, ...]:
    """Every case, by name."""
    return tuple(map(_read, sorted(FOLDER.glob("*.expected.json"))))


def buildable_cases() -> tuple[Case, ...]:
    """Those that describe one service."""
    return tuple(case for case in all_cases() if "refused" not in case.expected)


def refused_cases() -> tuple[Case, ...]:
    """Those that do not."""
    return tuple(case for case in all_cases() if "refused" in case.expected)


def _read(path: Path) -> Case:
    name = path.name.removesuffix(".expected.json")
    (document,) = (p for p in FOLDER.glob(f"{name}.*") if p != path)
    return Case(name, document.read_text(), json.loads(path.read_text()))
