"""How a generated test follows each resource through its life, from the contract alone."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from build_executor.generators.compiler.contract_test_calls import (
    answered_members,
    body_members,
    body_of,
    followed,
    path_code,
    record_codes,
)
from build_executor.generators.compiler.contract_test_cases import Filter, ListCase, ResourceCase
from build_executor.generators.compiler.contract_test_transitions import transition_cases
from build_executor.generators.compiler.text import literal
from build_executor.spec.contract import Contract, Operation, Resource
from build_executor.spec.naming import variable
from build_executor.spec.shapes import required, resolved

_FRESH_NUMBERS = (1, 2)
_MANY_NUMBERS = tuple(range(1, 13))


def resource_cases(contract: Contract) -> Iterator[ResourceCase]:
    """The resources that can be followed, each after those that it needs."""
    made: dict[str, ResourceCase] = {}
    waiting = [r for r in contract.resources if _creator(contract, r) is not None]
    for _ in range(len(waiting)):
        for resource in list(waiting):
            case = _case(contract, resource, made)
            if case is not None:
                made[resource.name] = case
                waiting.remove(resource)
                yield case


def _creator(contract: Contract, resource: Resource) -> Operation | None:
    """The operation that makes such records and answers with their id."""
    for operation in contract.business:
        if operation.resource == resource.name and operation.rule == "create":
            answered = answered_members(contract, operation)
            if resource.id_field in answered:
                return operation
    return None


def _case(
    contract: Contract, resource: Resource, made: Mapping[str, ResourceCase]
) -> ResourceCase | None:
    create = _creator(contract, resource)
    if create is None or create.method != "POST" or create.effect.id_parameter:
        return None
    needed = {r.resource for r in (*create.effect.parents, *create.effect.references)}
    if not needed <= set(made):
        return None
    case = ResourceCase(resource, create, "", tuple(_bodies(contract, create)))
    case.parents = [_link(r.field, made[r.resource]) for r in create.effect.parents]
    case.references = [_link(r.field, made[r.resource]) for r in create.effect.references]
    case.create_path = path_code(
        create, {r.field: variable(r.field) for r in create.effect.parents}
    )
    _add_reading(contract, case)
    _add_listing(contract, case)
    _add_changes(contract, case)
    case.transitions = tuple(transition_cases(contract, case))
    return case


def _link(name: str, case: ResourceCase) -> tuple[str, str, str]:
    return name, case.resource.singular, case.resource.id_field


def _bodies(contract: Contract, operation: Operation) -> Iterator[JsonValue]:
    resource = contract.resource(operation.resource)
    is_unique = resource is not None and (
        resource.unique or resource.id_field in body_members(contract, operation)
    )
    for number in _MANY_NUMBERS if is_unique else _FRESH_NUMBERS:
        yield body_of(contract, operation, number)


def _add_reading(contract: Contract, case: ResourceCase) -> None:
    for operation in followed(contract, case, "read"):
        case.read_path = path_code(operation, record_codes(case, operation))
        case.read_wraps = operation.effect.wraps
        case.read_owned = operation.owned
        answered = answered_members(contract, operation)
        sent = case.bodies[0] if isinstance(case.bodies[0], dict) else {}
        linked = {name for name, _, _ in case.references}
        fixed = {a.field for a in case.create.effect.assignments}
        case.compared = tuple(n for n in sent if n in answered and n not in linked | fixed)
        return


def _add_listing(contract: Contract, case: ResourceCase) -> None:
    for operation in _lists(contract, case):
        purposes = {p.purpose: p.name for p in operation.parameters_in("query")}
        initial = str(case.resource.initial_status)
        counters = tuple(
            c.name
            for c in operation.effect.counters
            if c.equals == initial and c.resource == case.resource.name and "." not in c.name
        )
        totals = [c.name for c in operation.effect.counters if c.matching and "." not in c.name]
        case.listing = ListCase(
            name=operation.name,
            path=path_code(operation, record_codes(case, operation)),
            key=operation.effect.collection,
            total=totals[0] if totals else None,
            limit=purposes.get("limit"),
            offset=purposes.get("offset"),
            filters=tuple(_filters(case, operation)),
            counters=counters,
        )
        return


def _lists(contract: Contract, case: ResourceCase) -> Iterator[Operation]:
    """Lists that hold two records made one after the other, whatever else they are made of."""
    shared = {field for field, _, _ in case.parents}
    for operation in followed(contract, case, "list"):
        is_shared = {p.name for p in operation.parameters_in("path")} <= shared
        if is_shared and not any(p.required for p in operation.parameters_in("query")):
            yield operation


def _filters(case: ResourceCase, operation: Operation) -> Iterator[Filter]:
    one, two = case.bodies[:2]
    linked = {name for name, _, _ in case.references}
    for parameter in operation.parameters_in("query"):
        name = parameter.field
        if parameter.purpose != "filter" or name is None or name in linked:
            continue
        sent = [body.get(name) if isinstance(body, dict) else None for body in (one, two)]
        if all(isinstance(value, str) for value in sent) and sent[0] != sent[1]:
            yield Filter(parameter.name, name)


def _add_changes(contract: Contract, case: ResourceCase) -> None:
    for operation in followed(contract, case, "delete"):
        case.delete = (
            path_code(operation, record_codes(case, operation)),
            operation.success_status,
        )
        break
    for operation in (*followed(contract, case, "update"), *followed(contract, case, "replace")):
        change = _change(contract, case, operation)
        if change is not None:
            case.update = change
            break
    for operation in contract.business:
        if operation.rule == "stream" and operation.resource == case.resource.name:
            case.stream = path_code(operation, record_codes(case, operation))


def _change(
    contract: Contract, case: ResourceCase, operation: Operation
) -> tuple[str, str, str, str] | None:
    """(method, path, body, field) of a change that shows in the record."""
    body = body_of(contract, operation, 3)
    if not isinstance(body, dict) or case.read_path is None:
        return None
    fixed = {case.resource.id_field, *(r.field for r in case.create.effect.references)}
    texts = [n for n in body if n in case.compared and n not in fixed]
    if not texts:
        return None
    partial = {n: v for n, v in body.items() if n in texts[:1]}
    sent = partial if operation.method == "PATCH" and not _needed(contract, operation) else body
    path = path_code(operation, record_codes(case, operation))
    return operation.method.lower(), path, literal(sent), texts[0]


def _needed(contract: Contract, operation: Operation) -> list[str]:
    return required(resolved(operation.request or {}, contract.components))
