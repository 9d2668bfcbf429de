"""A contract is written down as a SPEC and read again: what comes back is the same contract."""

import re
from dataclasses import dataclass, field

from build_executor.checks.sampling import fields, resolved
from build_executor.errors import SpecRefused
from build_executor.spec.contract import Contract, Operation, Shape
from build_executor.spec.derivation import derive_contract
from build_executor.spec.shapes import required
from tests.corpus.rendering import DIALECTS


@dataclass(slots=True)
class RoundTrip:
    """How much of a contract survived being written in one dialect."""

    dialect: str
    parts: int = 0
    kept: int = 0
    lost: list[str] = field(default_factory=list)


def round_trips(contract: Contract) -> list[RoundTrip]:
    """One journey for each dialect that can be written."""
    return [_journey(contract, dialect) for dialect in DIALECTS]


def _journey(contract: Contract, dialect: str) -> RoundTrip:
    before = _essence(contract)
    trip = RoundTrip(dialect, parts=len(before))
    try:
        after = _essence(derive_contract(DIALECTS[dialect](contract)))
    except SpecRefused as error:
        trip.lost.append(f"refused: {error}")
        return trip
    for name, value in before.items():
        if after.get(name) == value:
            trip.kept += 1
        else:
            trip.lost.append(f"{name} ({_difference(value, after.get(name))})")
    surplus = after.keys() - before.keys()
    trip.parts += len(surplus)
    trip.lost.extend(f"{name} was added" for name in sorted(surplus))
    return trip


def _difference(before: object, after: object) -> str:
    """What of a part is another one now; its values are the document's, and stay there."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return "value" if after is not None else "missing"
    return ", ".join(name for name in before if before[name] != after[name])


def _essence(contract: Contract) -> dict[str, object]:
    """What callers depend on: the service itself, and each operation as one part."""
    parts: dict[str, object] = {
        "service": contract.service,
        "version": contract.version,
        "port": contract.port,
        "dependencies": sorted((d.name, d.url, d.required) for d in contract.dependencies),
    }
    for operation in contract.operations:
        path = re.sub(r"\{[^}]*\}", "{}", operation.path)
        parts[f"{operation.method} {path}"] = _promise(operation, contract)
    return parts


def _promise(operation: Operation, contract: Contract) -> dict[str, object]:
    request = resolved(operation.request or {}, contract)
    return {
        "rule": operation.rule,
        "success": operation.success_status,
        "errors": sorted(operation.errors),
        "query": sorted(p.name for p in operation.parameters_in("query")),
        "request": _names(request),
        "required": sorted(required(request)),
        "response": _names(resolved(operation.response or {}, contract)),
        "secured": operation.secured,
    }


def _names(shape: Shape) -> list[str]:
    return sorted(fields(shape))
