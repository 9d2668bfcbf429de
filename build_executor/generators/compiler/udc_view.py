"""The fields that a SPEC's own examples add to the UDC endpoints."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from build_executor.generators.compiler.expressions import counted
from build_executor.spec.contract import Contract
from build_executor.spec.listing import counters_of
from build_executor.spec.places import segments
from build_executor.spec.routes import UDC_PATHS
from build_executor.spec.shapes import infer

_KNOWN = {
    "/health": "status service name id version release steward timestamp updated_at uptime_seconds "
    "endpoint proof cost_usd yield_usd checks",
    "/capabilities": "version features capabilities dependencies udc_version service_name "
    "supported_operations integration_endpoints metadata",
    "/state": "status mode cpu_percent memory_mb uptime_seconds requests_total requests_per_minute "
    "errors_last_hour last_restart last_activity metrics",
    "/dependencies": "required optional missing required_services optional_services external_apis",
}
_FUNCTIONS = {
    "/health": "read_health",
    "/capabilities": "read_capabilities",
    "/state": "read_state",
    "/dependencies": "read_dependencies",
    "/message": "receive_message",
    "/send": "send_message",
}


@dataclass(frozen=True, slots=True)
class Alias:
    """A UDC endpoint below a prefix."""

    path: str
    function: str
    method: str


def extras_of(contract: Contract, path: str) -> list[tuple[str, str]]:
    """(field, code) of each field the SPEC's example adds: counted if possible, else null."""
    example = _example(contract, path)
    known = set(_KNOWN[path].split())
    names = [name for name in example if name not in known]
    shape = infer(dict(example))
    main = contract.resources[0] if len(contract.resources) == 1 else None
    found = {
        counter.name: counted(counter, {}).replace("repository.", "store.")
        for counter in counters_of(shape, contract.resources, main, listing=False)
        if "." not in counter.name and counter.total_of is None
    }
    if path not in {"/health", "/state"}:
        found = {}
    return [(name, found.get(name, "None")) for name in names]


def _example(contract: Contract, path: str) -> dict[str, JsonValue]:
    for label, example in contract.udc_examples.items():
        if label.endswith(path) and isinstance(example, dict):
            return example
    return {}


def metadata_of(contract: Contract) -> JsonValue:
    """What the SPEC states as the service's metadata: statements, not data."""
    example = _example(contract, "/capabilities").get("metadata")
    return example if isinstance(example, dict) else {}


def features_of(contract: Contract) -> list[JsonValue]:
    """The stated features; those named in the capabilities example come first."""
    stated = _example(contract, "/capabilities").get("features")
    features = [f for f in stated if isinstance(f, str)] if isinstance(stated, list) else []
    return list(dict.fromkeys([*features, *contract.features]))


def aliases_of(contract: Contract) -> Iterator[Alias]:
    """The UDC endpoints that the SPEC puts below a prefix; they answer there too."""
    for operation in contract.operations:
        last = f"/{segments(operation.path)[-1]}" if segments(operation.path) else ""
        if operation.kind == "udc" and operation.path not in UDC_PATHS and last in _FUNCTIONS:
            yield Alias(operation.path, _FUNCTIONS[last], operation.method)
