"""The statements that read: a record, one field of it, numbers, the service itself."""

from collections.abc import Iterator

from build_executor.generators.compiler.expressions import (
    Tree,
    add_nested,
    assignments,
    counters,
    dictionary,
)
from build_executor.generators.compiler.record_code import RecordCode, checked
from build_executor.generators.compiler.text import literal, text_literal
from build_executor.spec.contract import Operation
from build_executor.spec.shapes import properties


def read(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """Finds a record."""
    resource = records.resource(operation)
    yield f"record = {records.required(operation, resource)}"
    yield records.answer(operation, answer)


def read_field(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """Answers with one field of a record."""
    resource = records.resource(operation)
    yield f"record = {records.required(operation, resource)}"
    name = next((n for n in properties(operation.response) if n != resource.id_field), "")
    members: Tree = {
        resource.id_field: f"record[{text_literal(resource.id_field)}]",
        name: f"record.get({text_literal(name)})",
    }
    yield f"return {checked(answer, dictionary(members))}"


def read_counters(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """Counts records."""
    effect = operation.effect
    resource = records.contract.resource(operation.resource)
    within: dict[str, str] = {}
    if effect.id_parameter is not None and resource is not None:
        yield records.required(operation, resource)
    members: Tree = dict(counters(effect.counters, within))
    add_nested(members, assignments(effect.answers, resource))
    yield f"return {checked(answer, dictionary(members))}"


def information(records: RecordCode, _operation: Operation, _answer: str) -> Iterator[str]:
    """Says what the service is."""
    endpoints = [operation.label for operation in records.contract.operations]
    members: Tree = {
        "service": literal(records.contract.service),
        "version": literal(records.contract.version),
        "description": literal(records.contract.description),
        "endpoints": literal(list(endpoints)),
    }
    yield f"return {dictionary(members)}"
