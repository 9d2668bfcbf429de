"""The operations that no rule implements, and the contract once somebody has written them.

What the SPEC shows of such an operation (its path, its bodies, its codes) is enough to judge code
by, although it is not enough to write it by rules. Both contracts follow from the SPEC alone: which
operations are written is all that whoever wrote them decides.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from build_executor.spec.contract import Contract, Effect, Note, Operation, Reference, Shape
from build_executor.spec.openapi_form import to_openapi
from build_executor.spec.places import segments
from build_executor.spec.shapes import is_type, object_of, properties, references_in, resolved

WRITTEN = "written"
_CODE = re.compile(r"\b(4\d\d)\b")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


def holes_of(contract: Contract) -> tuple[Operation, ...]:
    """The operations that a function could implement; what stands for any method is none."""
    return tuple(
        operation
        for operation in contract.business
        if operation.rule == "stub"
        and operation.method in _METHODS
        and operation.media_type == "application/json"
    )


def settle(
    contract: Contract, written: Mapping[str, str], failed: Mapping[str, str] | None = None
) -> Contract:
    """The contract where the named operations are written; the values say by whom, or why not.

    `written` and `failed` map names of operations to words for the reader of the contract.
    """
    operations = tuple(
        _written(operation, contract) if operation.name in written else operation
        for operation in contract.operations
    )
    labels = {o.label: o.name for o in contract.operations}
    closed = {label for label, name in labels.items() if name in written}
    told = [
        Note(line=o.spec_line, message=written[o.name], operation=o.label)
        for o in operations
        if o.name in written
    ]
    gaps = [_told(note, labels, failed or {}) for note in contract.gaps]
    title = contract.title or contract.service
    document = to_openapi(title, contract.version, operations, contract.components)
    return contract.model_copy(
        update={
            "operations": operations,
            "gaps": tuple(note for note in gaps if note.operation not in closed),
            "assumptions": (*contract.assumptions, *told),
            "openapi": document if written else contract.openapi,
        }
    )


def demand_digest(operation: Operation, contract: Contract) -> str:
    """SHA-256 of all that the contract demands of one operation, wherever the SPEC says it."""
    demand = operation.model_dump(mode="json", exclude={"spec_line", "summary", "rule"})
    names = set(references_in(demand))
    used: dict[str, JsonValue] = {}
    while names - set(used):
        name = min(names - set(used))
        used[name] = contract.components.get(name, {})
        names.update(references_in(used[name]))
    canonical = json.dumps([demand, used], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _told(note: Note, labels: Mapping[str, str], failed: Mapping[str, str]) -> Note:
    reason = failed.get(labels.get(note.operation or "", ""))
    return note if reason is None else note.model_copy(update={"message": reason})


def _written(operation: Operation, contract: Contract) -> Operation:
    """The operation as code can be judged by it: what it answers, and the records it is about."""
    identified = list(_identified(operation, contract))
    resource = identified[-1].resource if identified else None
    effect = Effect(
        id_parameter=identified[-1].field if identified else None,
        parents=tuple(identified[:-1]),
        references=tuple(_references_in_body(operation, contract)),
    )
    said = {int(code) for code in _CODE.findall(operation.summary)}
    changed = {
        "rule": WRITTEN,
        "errors": tuple(sorted({*operation.errors, *said})),
        "resource": resource,
        "effect": effect,
        "response": _answer(operation, contract),
    }
    return operation.model_copy(update=changed)


def _answer(operation: Operation, contract: Contract) -> Shape:
    shape = _known(operation.promised or {}, contract)
    members = properties(shape)
    if not is_type(shape, "object") or not members:
        return shape or {"type": "object"}
    return shape if contract.declared else object_of(members, list(members))


def _known(shape: JsonValue, contract: Contract) -> Shape:
    """The shape without references to components that the contract does not have."""
    found = _without_unknown(shape, contract)
    return found if isinstance(found, dict) else {}


def _without_unknown(value: JsonValue, contract: Contract) -> JsonValue:
    if isinstance(value, list):
        return [_without_unknown(inner, contract) for inner in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.rsplit("/", 1)[-1] not in contract.components:
        return {}
    return {key: _without_unknown(inner, contract) for key, inner in value.items()}


def _identified(operation: Operation, contract: Contract) -> Iterator[Reference]:
    """The path's parameters that name records, each with the resource of these."""
    parts = segments(operation.path)
    for index, part in enumerate(parts):
        if not part.startswith("{"):
            continue
        name = part[1:-1]
        found = _resource_at("/" + "/".join(parts[:index]), name, contract)
        if found is not None:
            yield Reference(field=name, resource=found)


def _resource_at(above: str, parameter: str, contract: Contract) -> str | None:
    """The resource whose records are created at this path, or are read by this parameter."""
    for operation in contract.business:
        is_read = operation.effect.id_parameter == parameter and operation.path.startswith(above)
        if operation.resource and (
            is_read or (operation.rule, operation.path) == ("create", above)
        ):
            return operation.resource
    return None


def _references_in_body(operation: Operation, contract: Contract) -> Iterator[Reference]:
    """The fields of the body that are called like the id of a resource that can be made."""
    members = properties(resolved(operation.request or {}, contract.components))
    for resource in contract.resources:
        if resource.creatable and resource.id_field in members and resource.id_field != "id":
            yield Reference(field=resource.id_field, resource=resource.name)
