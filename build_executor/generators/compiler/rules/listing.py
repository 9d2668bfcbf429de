"""The statements that find the records a query selects."""

from collections.abc import Iterator

from build_executor.generators.compiler.expressions import (
    Tree,
    add_nested,
    assigned,
    attribute,
    counters,
    dictionary,
    parameter_code,
    restrictions,
)
from build_executor.generators.compiler.record_code import RecordCode, checked
from build_executor.generators.compiler.text import text_literal
from build_executor.spec.contract import Operation, Resource


def list_records(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """Finds the records that a query selects."""
    resource, effect = records.resource(operation), operation.effect
    yield from records.parents(operation)
    yield f"page = repository.find({_query(records, operation, resource)})"
    if effect.collection is None:
        item = answer.removeprefix("list[").removesuffix("]")
        is_plain = item == "dict[str, Any]"
        code = records.public(operation) if is_plain else checked(item, "record")
        yield f"return [{code} for record in page.records]"
        return
    within = restrictions(operation, "parent")
    within.update({name: str(code) for name, code in records.own(operation).items()})
    members: Tree = {effect.collection: "page.records"}
    members.update(counters(effect.counters, within, matching="page.total"))
    add_nested(members, _echoes(operation))
    yield f"return {checked(answer, dictionary(members))}"


def _echoes(operation: Operation) -> dict[str, str]:
    echoes = {}
    for item in operation.effect.answers:
        is_echo = item.source == "parameter"
        code = f"query.{attribute(str(item.value))}" if is_echo else assigned(item, None)
        echoes[item.field] = code
    return echoes


def _query(records: RecordCode, operation: Operation, resource: Resource) -> str:
    parts = [text_literal(resource.name)]
    equals = restrictions(operation, "parent") | restrictions(operation, "filter")
    equals.update({name: str(code) for name, code in records.own(operation).items()})
    for word, members in (
        ("equals", equals),
        ("minimum", restrictions(operation, "minimum")),
        ("maximum", restrictions(operation, "maximum")),
    ):
        if members:
            parts.append(f"{word}={dictionary(dict(members))}")
    for word in ("search", "sort"):
        code = parameter_code(operation, word)
        if code:
            parts.append(f"{word}={code}")
    parts.extend(_order(operation))
    return f"Query({', '.join(parts)})"


def _order(operation: Operation) -> Iterator[str]:
    order, limit = parameter_code(operation, "order"), parameter_code(operation, "limit")
    if order:
        yield f'descending={order} == "desc"'
    elif operation.effect.newest_first:
        yield "descending=True"
    yield f"limit={limit or 1000}"
    offset, page = parameter_code(operation, "offset"), parameter_code(operation, "page")
    if offset:
        yield f"offset={offset}"
    elif page and limit:
        yield f"offset=({page} - 1) * {limit}"
