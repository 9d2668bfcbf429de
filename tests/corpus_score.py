"""Scores `check` over a folder of real SPECs with hand-checked truth: `corpus_score.py FOLDER`."""

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from build_executor.errors import SpecRefused
from build_executor.spec.contract import Contract
from build_executor.spec.derivation import derive_contract

Route = tuple[str, str]


def route(method: str, path: str) -> Route:
    """Parameter names, the query and a trailing slash do not count."""
    plain = re.sub(r"\{[^}]*\}", "{}", path.split("?", maxsplit=1)[0])
    return method, plain.rstrip("/") or "/"


def derived(text: str) -> tuple[Contract | None, str]:
    """The contract, or why there is none."""
    try:
        return derive_contract(text), ""
    except SpecRefused as error:
        return None, error.reason


def score(folder: Path) -> dict[str, Any]:
    """Endpoints found and false, names, ports and refusals right, and how long it takes."""
    truth: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    sums: dict[str, Any] = dict.fromkeys(
        ("expected", "found", "false", "named", "ported", "buildable", "refused", "refusable"), 0
    )
    seconds, wrong = [], []
    for name, known in truth.items():
        started = time.perf_counter()
        contract, reason = derived((folder / name).read_text())
        seconds.append(time.perf_counter() - started)
        if not known["buildable"]:
            sums["refusable"] += 1
            sums["refused"] += contract is None
            continue
        sums["buildable"] += 1
        if contract is None:
            wrong.append(f"{name}: refused, {reason}")
            continue
        add(sums, wrong, name, known, contract)
    sums["median_ms"] = round(sorted(seconds)[len(seconds) // 2] * 1000, 1)
    sums["wrong"] = wrong
    return sums


def add(
    sums: dict[str, Any], wrong: list[str], name: str, known: dict[str, Any], contract: Contract
) -> None:
    """Compare one contract with the truth."""
    stated = {route(o.method, o.path) for o in contract.operations if o.spec_line}
    wanted = {route(e["method"], e["path"]) for e in known["endpoints"] if not e.get("optional")}
    optional = {route(e["method"], e["path"]) for e in known["endpoints"]} - wanted
    sums["expected"] += len(wanted)
    sums["found"] += len(wanted & stated)
    sums["false"] += len(stated - wanted - optional)
    sums["named"] += contract.service == known["service"]
    sums["ported"] += contract.port == known["port"]
    if stated - optional != wanted:
        wrong.append(f"{name}: missing {wanted - stated}, false {stated - wanted - optional}")
    if (contract.service, contract.port) != (known["service"], known["port"]):
        wrong.append(f"{name}: {contract.service} {contract.port}")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(score(Path(sys.argv[1])), indent=2) + "\n")
