"""What a compiler found in a document, against what people found in it by hand."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from build_executor.errors import SpecRefused
from build_executor.spec.contract import Contract
from build_executor.spec.derivation import derive_contract

Route = tuple[str, str]


@dataclass(slots=True)
class Reading:
    """One document: what was expected of it, and what was read."""

    name: str
    buildable: bool
    contract: Contract | None
    reason: str = ""
    expected: int = 0
    found: int = 0
    missing: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    is_named: bool = False
    is_ported: bool = False

    @property
    def is_judged_right(self) -> bool:
        """Whether it was refused if and only if it has to be."""
        return self.buildable == (self.contract is not None)


def read_corpus(folder: Path) -> list[Reading]:
    """All documents of a folder with a `truth.json`, in its order."""
    truth: dict[str, Any] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    return [
        _read(name, (folder / name).read_text(encoding="utf-8"), known)
        for name, known in truth.items()
    ]


def route(method: str, path: str) -> Route:
    """Parameter names, the query and a trailing slash do not count."""
    plain = re.sub(r"\{[^}]*\}", "{}", path.split("?", maxsplit=1)[0])
    return method, plain.rstrip("/") or "/"


def _read(name: str, text: str, known: dict[str, Any]) -> Reading:
    try:
        contract = derive_contract(text)
    except SpecRefused as error:
        reading = Reading(name, known["buildable"], None, error.reason)
        reading.expected = len(_wanted(known))
        return reading
    reading = Reading(name, known["buildable"], contract)
    if reading.buildable:
        _compare(reading, contract, known)
    return reading


def _wanted(known: dict[str, Any]) -> set[Route]:
    return {route(e["method"], e["path"]) for e in known["endpoints"] if not e.get("optional")}


def _compare(reading: Reading, contract: Contract, known: dict[str, Any]) -> None:
    stated = {route(o.method, o.path) for o in contract.operations if o.spec_line}
    wanted = _wanted(known)
    allowed = {route(e["method"], e["path"]) for e in known["endpoints"]}
    reading.expected, reading.found = len(wanted), len(wanted & stated)
    reading.missing = sorted(map(" ".join, wanted - stated))
    reading.false = sorted(map(" ".join, stated - allowed))
    reading.is_named = contract.service == known["service"]
    reading.is_ported = contract.port == known["port"]
