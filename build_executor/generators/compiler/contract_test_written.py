"""How a generated test asks an operation that no rule implements: from the contract alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from build_executor.generators.compiler.contract_test_calls import body_of, path_code
from build_executor.generators.compiler.contract_test_cases import ResourceCase
from build_executor.generators.compiler.samples import sample
from build_executor.generators.compiler.text import text_literal
from build_executor.spec.contract import Contract, Operation, Shape
from build_executor.spec.holes import WRITTEN
from build_executor.spec.naming import variable
from build_executor.spec.shapes import is_type, properties, required, resolved

_NOT_FOUND = 404
_NUMBERS = (1, 2)
_NEEDS_NOT_DIFFER = frozenset(
    {"status", "message", "detail", "result", "text", "content", "success", "type", "state"}
)


@dataclass(frozen=True, slots=True)
class Made:
    """A name in the test, and the code of the record's field that it stands for."""

    name: str
    code: str


@dataclass(frozen=True, slots=True)
class WrittenCase:
    """One operation: how it is called in two different ways, and what its answers must hold."""

    name: str
    label: str
    method: str
    records: tuple[Made, ...]
    made: tuple[Made, ...]
    path: str
    bodies: tuple[JsonValue, ...]
    references: tuple[Made, ...]
    query: tuple[dict[str, JsonValue], ...]
    query_names: tuple[str, ...]
    status: int
    statuses: tuple[int, ...]
    members: tuple[str, ...]
    repeated: tuple[tuple[str, str], ...]
    differs: bool


def written_cases(contract: Contract, cases: Sequence[ResourceCase]) -> Iterator[WrittenCase]:
    """One case an operation that somebody has to write."""
    followed = {case.resource.name: case for case in cases}
    for operation in contract.business:
        if operation.rule == WRITTEN:
            yield _case(contract, operation, followed)


def _case(
    contract: Contract, operation: Operation, followed: Mapping[str, ResourceCase]
) -> WrittenCase:
    records, made = _records(contract, operation, followed)
    references = list(_references(contract, operation, followed))
    known = {m.name for m in made}
    names = [p.name for p in operation.parameters_in("path")]
    shape = resolved(operation.response or {}, contract.components)
    statuses = {operation.success_status, *operation.errors}
    if not {variable(name) for name in names} <= known or _names_others(contract, operation):
        statuses.add(_NOT_FOUND)
    return WrittenCase(
        name=operation.name,
        label=operation.label,
        method=operation.method,
        records=tuple(records),
        made=tuple(made),
        path=path_code(operation, {n: variable(n) for n in names if variable(n) in known}),
        bodies=tuple(body_of(contract, operation, number) for number in _NUMBERS),
        references=tuple(references),
        query=tuple(_query(contract, operation, number) for number in _NUMBERS),
        query_names=tuple(p.name for p in operation.parameters_in("query")),
        status=operation.success_status,
        statuses=tuple(sorted(statuses)),
        members=tuple(required(shape)),
        repeated=tuple((n, variable(n)) for n in names if _repeats(shape, n, known)),
        differs=_differs(contract, operation, shape),
    )


def _records(
    contract: Contract, operation: Operation, followed: Mapping[str, ResourceCase]
) -> tuple[list[Made], list[Made]]:
    """The records to make for the path's parameters, and the code of each parameter."""
    records: list[Made] = []
    made: list[Made] = []
    effect = operation.effect
    own = contract.resource(operation.resource)
    if effect.id_parameter is None or own is None or own.name not in followed:
        return records, made
    records.append(Made("record", f"make_{own.singular}(client, number)"))
    made.append(Made(variable(effect.id_parameter), f"record[{text_literal(own.id_field)}]"))
    carried = {parent.field for parent in own.parents if parent.resource in followed}
    made += [
        Made(variable(parent.field), f"record[{text_literal(parent.field)}]")
        for parent in effect.parents
        if parent.field in carried
    ]
    return records, made


def _references(
    contract: Contract, operation: Operation, followed: Mapping[str, ResourceCase]
) -> Iterator[Made]:
    for reference in operation.effect.references:
        resource = contract.resource(reference.resource)
        if resource is not None and resource.name in followed:
            code = f"make_{resource.singular}(client, number)[{text_literal(resource.id_field)}]"
            yield Made(reference.field, code)


def _names_others(contract: Contract, operation: Operation) -> bool:
    """Whether the body names records that the tests cannot make."""
    members = properties(resolved(operation.request or {}, contract.components))
    known = {reference.field for reference in operation.effect.references}
    asked = [p.name for p in operation.parameters_in("query")]
    return any(n.endswith(("_id", "_ids")) and n not in known for n in (*members, *asked))


def _query(contract: Contract, operation: Operation, number: int) -> dict[str, JsonValue]:
    return {
        p.name: sample(p.shape, contract.components, number, p.name)
        for p in operation.parameters_in("query")
        if p.required
    }


def _repeats(shape: Shape, name: str, known: set[str]) -> bool:
    return variable(name) in known and name in properties(shape)


def _differs(contract: Contract, operation: Operation, shape: Shape) -> bool:
    """Whether two different requests must get different answers: these repeat or count them."""
    sent = properties(resolved(operation.request or {}, contract.components))
    answered = properties(shape)
    shared = [
        n
        for n in answered
        if n in sent
        and not n.endswith("id")
        and n not in _NEEDS_NOT_DIFFER
        and is_type(sent[n], "string")
        and "enum" not in sent[n]
    ]
    changes = operation.method != "GET" and _has_number(sent) and _has_number(answered)
    return bool(shared) or changes


def _has_number(members: Mapping[str, Shape]) -> bool:
    return any(is_type(shape, "number", "integer") for shape in members.values())
