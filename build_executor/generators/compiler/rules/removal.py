"""The statements that remove records, or mark them where the SPEC keeps them."""

from collections.abc import Iterator

from build_executor.generators.compiler.expressions import Tree, assignments, dictionary
from build_executor.generators.compiler.record_code import RecordCode
from build_executor.generators.compiler.text import literal, text_literal
from build_executor.spec.contract import Operation, Resource


def delete(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """Forgets a record, or marks it where the SPEC keeps it."""
    resource = records.resource(operation)
    name, identity = text_literal(resource.name), records.identity(operation)
    if operation.effect.target is not None and resource.status_field is not None:
        yield from _marked(records, operation, resource)
        yield records.answer(operation, answer)
        return
    yield "with repository.transaction():"
    binding = "record = " if answer != "None" else ""
    yield f"    {binding}{records.required(operation, resource)}"
    yield f"    repository.remove({name}, {identity})"
    if answer != "None":
        yield records.answer(operation, answer)


def _marked(records: RecordCode, operation: Operation, resource: Resource) -> Iterator[str]:
    name, identity = text_literal(resource.name), records.identity(operation)
    target = literal(operation.effect.target)
    changes: Tree = {str(resource.status_field): target}
    changes.update(assignments(operation.effect.assignments, resource))
    yield "with repository.transaction():"
    yield f"    record = {records.required(operation, resource)}"
    yield f"    record |= {dictionary(changes)}"
    yield f"    repository.replace({name}, {identity}, record, {target})"
