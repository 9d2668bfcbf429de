"""What the templates of the tests need to know: only the contract, never the generated code."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from build_executor.generators.compiler.samples import sample
from build_executor.generators.compiler.text import literal, text_literal
from build_executor.spec.contract import Contract, Operation, Resource, Shape
from build_executor.spec.naming import variable
from build_executor.spec.places import segments
from build_executor.spec.shapes import is_type, properties, required, resolved

_UNKNOWN = {"string": "no-such-thing", "integer": "987654321"}
_FRESH_NUMBERS = (1, 2)
_MANY_NUMBERS = tuple(range(1, 13))
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class Step:
    """One transition to make on a record: its path's code and what is sent."""

    path: str
    method: str
    body: str


@dataclass(frozen=True, slots=True)
class TransitionCase:
    """A transition: how to get into a state that allows it, and what comes of it."""

    name: str
    step: Step
    before: tuple[Step, ...]
    status: int
    field: str | None
    target: str
    is_refused_at_first: bool
    is_refused_twice: bool
    wraps: str | None


@dataclass(frozen=True, slots=True)
class Filter:
    """A query parameter that selects one of two different records."""

    name: str
    field: str


@dataclass(frozen=True, slots=True)
class ListCase:
    """How a resource is listed."""

    name: str
    path: str
    key: str | None
    total: str | None
    limit: str | None
    offset: str | None
    filters: tuple[Filter, ...]
    counters: tuple[str, ...]


@dataclass(slots=True)
class ResourceCase:
    """A resource that can be created and followed."""

    resource: Resource
    create: Operation
    create_path: str
    bodies: tuple[JsonValue, ...]
    parents: list[tuple[str, str, str]] = field(default_factory=list)
    references: list[tuple[str, str, str]] = field(default_factory=list)
    read_path: str | None = None
    read_wraps: str | None = None
    read_owned: bool = False
    compared: tuple[str, ...] = ()
    listing: ListCase | None = None
    update: tuple[str, str, str, str] | None = None
    delete: tuple[str, int] | None = None
    transitions: tuple[TransitionCase, ...] = ()
    stream: str | None = None


def tests_context(contract: Contract) -> dict[str, object]:
    """All values that the templates of the tests use."""
    cases = list(_cases(contract))
    return {
        "contract": contract,
        "service": contract.service,
        "cases": cases,
        "account": _account(contract),
        "secured": list(_secured(contract)),
        "owned": [c for c in cases if c.create.owned and c.read_owned],
        "linked": any(case.parents or case.references for case in cases),
        "documented": [o for o in contract.business if o.method not in {"WS", "ANY"}],
        "unknown": list(_unknown_calls(contract)),
        "stubs": list(_stubs(contract)),
        "bad_bodies": list(_bad_bodies(contract)),
        "reads": list(_plain_reads(contract)),
        "orphans": [r for r in contract.resources if not r.creatable],
    }


@dataclass(frozen=True, slots=True)
class Account:
    """How a test signs up and in."""

    sign_up: str
    sign_up_status: int
    bodies: tuple[JsonValue, ...]
    sign_in: str
    sign_in_status: int
    names: tuple[str, ...]
    token: str
    login_field: str
    password_field: str


def _account(contract: Contract) -> Account | None:
    auth = contract.auth
    own = [o for o in contract.business if auth and o.resource == auth.resource]
    sign_in = next((o for o in own if o.rule == "login"), None)
    sign_up = next((o for o in own if o.rule == "create"), None)
    if auth is None or sign_in is None or sign_up is None:
        return None
    token = next((a.field for a in sign_in.effect.answers if a.source == "token"), "token")
    return Account(
        sign_up=sign_up.path,
        sign_up_status=sign_up.success_status,
        bodies=tuple(body_of(contract, sign_up, number) for number in (101, 102)),
        sign_in=sign_in.path,
        sign_in_status=sign_in.success_status,
        names=tuple(sorted(_sent(contract, sign_in) & _sent(contract, sign_up))),
        token=token,
        login_field=auth.login_field,
        password_field=auth.password_field,
    )


def _secured(contract: Contract) -> Iterator[tuple[str, str, str]]:
    """(method, path, body) of operations that want a token."""
    for operation in contract.business:
        if operation.secured and operation.method not in {"WS", "ANY"} and operation.rule != "stub":
            path = re.sub(r"\{[^}]*\}", "1", operation.path)
            yield operation.method, path, literal(body_of(contract, operation, 1))


def _cases(contract: Contract) -> Iterator[ResourceCase]:
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
            answered = _answered(contract, operation)
            if resource.id_field in answered:
                return operation
    return None


def _answered(contract: Contract, operation: Operation) -> dict[str, Shape]:
    shape = resolved(operation.response or {}, contract.components)
    if operation.effect.wraps:
        inner = properties(shape).get(operation.effect.wraps, {})
        return properties(resolved(inner, contract.components))
    return properties(shape)


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
    case.create_path = _path(create, {r.field: variable(r.field) for r in create.effect.parents})
    _add_reading(contract, case)
    _add_listing(contract, case)
    _add_changes(contract, case)
    case.transitions = tuple(_transitions(contract, case))
    return case


def _link(name: str, case: ResourceCase) -> tuple[str, str, str]:
    return name, case.resource.singular, case.resource.id_field


def _bodies(contract: Contract, operation: Operation) -> Iterator[JsonValue]:
    resource = contract.resource(operation.resource)
    is_unique = resource is not None and (
        resource.unique or resource.id_field in _sent(contract, operation)
    )
    for number in _MANY_NUMBERS if is_unique else _FRESH_NUMBERS:
        yield body_of(contract, operation, number)


def _sent(contract: Contract, operation: Operation) -> set[str]:
    return set(properties(resolved(operation.request or {}, contract.components)))


def body_of(contract: Contract, operation: Operation, number: int) -> JsonValue:
    """A body that the operation accepts."""
    if operation.request is None:
        return None
    return sample(operation.request, contract.components, number)


def _path(operation: Operation, codes: Mapping[str, str]) -> str:
    """The code of a path: a literal, or an f-string of the names its parameters have in a test."""
    parts = []
    for part in segments(operation.path):
        name = part[1:-1]
        is_known = part.startswith("{") and name in codes
        parts.append("{" + codes[name] + "}" if is_known else _escaped(part))
    text = "/" + "/".join(parts)
    return f'f"{text}"' if codes else text_literal(operation.path)


def _escaped(text: str) -> str:
    return re.sub(r"[^\w.~@$+!%-]", "", text)


def _codes(case: ResourceCase, operation: Operation) -> dict[str, str]:
    """The path parameters of an operation on a record, as code that reads them from the record."""
    codes = {parent.field: f"record['{_plain(parent.field)}']" for parent in case.resource.parents}
    if operation.effect.id_parameter:
        codes[operation.effect.id_parameter] = f"record['{_plain(case.resource.id_field)}']"
    names = [part[1:-1] for part in segments(operation.path) if part.startswith("{")]
    return {name: codes[name] for name in names if name in codes}


def _plain(name: str) -> str:
    return re.sub(r"[^\w-]", "", name)


def _is_complete(case: ResourceCase, operation: Operation) -> bool:
    names = [part for part in segments(operation.path) if part.startswith("{")]
    return len(_codes(case, operation)) == len(names)


def _of_rule(contract: Contract, case: ResourceCase, rule: str) -> Iterator[Operation]:
    for operation in contract.business:
        is_own = operation.resource == case.resource.name and operation.rule == rule
        if is_own and _is_complete(case, operation):
            yield operation


def _add_reading(contract: Contract, case: ResourceCase) -> None:
    for operation in _of_rule(contract, case, "read"):
        case.read_path = _path(operation, _codes(case, operation))
        case.read_wraps = operation.effect.wraps
        case.read_owned = operation.owned
        answered = _answered(contract, operation)
        sent = case.bodies[0] if isinstance(case.bodies[0], dict) else {}
        linked = {name for name, _, _ in case.references}
        fixed = {a.field for a in case.create.effect.assignments}
        case.compared = tuple(n for n in sent if n in answered and n not in linked | fixed)
        return


def _add_listing(contract: Contract, case: ResourceCase) -> None:
    for operation in _of_rule_list(contract, case):
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
            path=_path(operation, _codes(case, operation)),
            key=operation.effect.collection,
            total=totals[0] if totals else None,
            limit=purposes.get("limit"),
            offset=purposes.get("offset"),
            filters=tuple(_filters(case, operation)),
            counters=counters,
        )
        return


def _of_rule_list(contract: Contract, case: ResourceCase) -> Iterator[Operation]:
    """Lists that hold two records made one after the other, whatever else they are made of."""
    shared = {field for field, _, _ in case.parents}
    for operation in _of_rule(contract, case, "list"):
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
    for operation in _of_rule(contract, case, "delete"):
        case.delete = (_path(operation, _codes(case, operation)), operation.success_status)
        break
    for operation in (*_of_rule(contract, case, "update"), *_of_rule(contract, case, "replace")):
        change = _change(contract, case, operation)
        if change is not None:
            case.update = change
            break
    for operation in contract.business:
        if operation.rule == "stream" and operation.resource == case.resource.name:
            case.stream = _path(operation, _codes(case, operation))


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
    path = _path(operation, _codes(case, operation))
    return operation.method.lower(), path, literal(sent), texts[0]


def _needed(contract: Contract, operation: Operation) -> list[str]:
    return required(resolved(operation.request or {}, contract.components))


def _transitions(contract: Contract, case: ResourceCase) -> Iterator[TransitionCase]:
    operations = [o for o in _of_rule(contract, case, "transition") if o.effect.target is not None]
    for operation in operations:
        before = _way(operation, operations, case.resource)
        status = case.resource.status_field
        changed = {a.field for a in operation.effect.assignments}
        moves = status is not None and status in changed
        if before is None:
            continue
        target = operation.effect.target
        allowed = operation.effect.allowed_from
        initial = str(case.resource.initial_status)
        refused = {*case.resource.terminal, *operation.effect.refused_from}
        ends = target in refused if not allowed else target not in allowed
        yield TransitionCase(
            name=operation.name,
            step=_step(contract, case, operation),
            before=tuple(_step(contract, case, o) for o in before),
            status=operation.success_status,
            field=status if moves and status in _answered(contract, operation) else None,
            target=literal(target),
            is_refused_at_first=bool(moves and allowed and initial not in allowed),
            is_refused_twice=bool(moves and ends),
            wraps=operation.effect.wraps,
        )


def _step(contract: Contract, case: ResourceCase, operation: Operation) -> Step:
    body = body_of(contract, operation, 2)
    if isinstance(body, dict) and operation.effect.decision:
        body = {**body, operation.effect.decision: True}
    path = _path(operation, _codes(case, operation))
    return Step(path, operation.method.lower(), literal(body) if body is not None else "None")


def _way(
    goal: Operation, operations: list[Operation], resource: Resource
) -> list[Operation] | None:
    """The transitions that bring a new record into a state that allows the goal."""
    start = str(resource.initial_status)
    queue: deque[tuple[str, list[Operation]]] = deque([(start, [])])
    seen = {start}
    while queue:
        state, way = queue.popleft()
        if _allows(goal, state, resource):
            return way
        for operation in operations:
            target = str(operation.effect.target)
            if target not in seen and _allows(operation, state, resource):
                seen.add(target)
                queue.append((target, [*way, operation]))
    return None


def _allows(operation: Operation, state: str, resource: Resource) -> bool:
    changed = {a.field for a in operation.effect.assignments}
    if resource.status_field is None or resource.status_field not in changed:
        return True
    if operation.effect.allowed_from:
        return state in operation.effect.allowed_from
    return state not in {*resource.terminal, *operation.effect.refused_from}


def _unknown_calls(contract: Contract) -> Iterator[tuple[str, str, str]]:
    """(method, path with an id that does not exist, body) of operations that must say 404."""
    for operation in contract.business:
        names = operation.parameters_in("path")
        looks_up = operation.effect.id_parameter or operation.effect.parents
        upserts = operation.rule == "replace" and not _has_create(contract, operation)
        if not looks_up or operation.rule in {"stub", "stream"} or upserts:
            continue
        if operation.rule == "create" and not operation.effect.parents:
            continue
        path = operation.path
        for parameter in names:
            path = path.replace("{" + parameter.name + "}", _unknown(contract, operation))
        yield operation.method, path, literal(body_of(contract, operation, 1))


def _has_create(contract: Contract, operation: Operation) -> bool:
    own = [o for o in contract.business if o.resource == operation.resource]
    return any(o.rule == "create" for o in own)


def _unknown(contract: Contract, operation: Operation) -> str:
    resource = contract.resource(operation.resource)
    numbers = any(is_type(p.shape, "integer") for p in operation.parameters_in("path"))
    is_number = numbers or (resource is not None and resource.id_type == "integer")
    return _UNKNOWN["integer" if is_number else "string"]


def _stubs(contract: Contract) -> Iterator[tuple[str, str, str, int]]:
    for operation in contract.business:
        if operation.rule == "stub" and operation.method not in {"HEAD", "OPTIONS"}:
            method = "GET" if operation.method == "ANY" else operation.method
            path = re.sub(r"\{[^}]*\}", "1", operation.path)
            yield method, path, literal(body_of(contract, operation, 1)), operation.spec_line


def _bad_bodies(contract: Contract) -> Iterator[tuple[str, str]]:
    """Operations whose body is an object: anything else must be refused before it is looked up."""
    for operation in contract.business:
        shape = resolved(operation.request or {}, contract.components)
        if operation.method in _WITH_BODY and properties(shape) and operation.rule != "stream":
            yield operation.method, re.sub(r"\{[^}]*\}", "1", operation.path)


def _plain_reads(contract: Contract) -> Iterator[tuple[str, int]]:
    for operation in contract.business:
        needs = any(p.required for p in operation.parameters_in("query"))
        if operation.method == "GET" and "{" not in operation.path and not needs:
            status = 501 if operation.rule == "stub" else operation.success_status
            yield operation.path, status
