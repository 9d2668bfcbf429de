"""The statements that change records, or put them where none was."""

from collections.abc import Iterator

from build_executor.generators.compiler.expressions import Tree, assignments, attribute, dictionary
from build_executor.generators.compiler.record_code import RecordCode
from build_executor.generators.compiler.text import literal, text_literal
from build_executor.spec.contract import Operation, Resource, Shape
from build_executor.spec.shapes import properties


def update(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """Changes the fields that were sent."""
    more = ", exclude_unset=True, exclude_none=True"
    yield from _changed(records, operation, answer, more, "updated")


def replace(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """Sets all fields that a caller may set; makes the record where nothing else does."""
    resource = records.resource(operation)
    creators = [o for o in records.contract.operations if o.resource == resource.name]
    if any(o.rule == "create" for o in creators) or operation.effect.id_parameter is None:
        more = ", exclude_none=True" if records.contract.declared else ""
        yield from _changed(records, operation, answer, more, "updated")
    else:
        yield from _put(records, operation, answer)


def _put(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """Makes the record or replaces it; somebody else's is not there for the caller."""
    resource = records.resource(operation)
    identity = records.identity(operation)
    name, noun = text_literal(resource.name), text_literal(resource.id_field)
    yield "with repository.transaction():"
    yield f"    known = repository.get({name}, {identity})"
    if operation.owned:
        yield "    if known is not None:"
        yield f"        {records.required(operation, resource)}"
    yield f"    record: Record = {_put_record(records, operation, resource)}"
    yield f"    record[{noun}] = {identity}"
    yield "    if known is None:"
    yield f"        repository.add({name}, {identity}, record)"
    yield "    else:"
    yield f'        repository.replace({name}, {identity}, record, "updated")'
    yield records.answer(operation, answer)


def _put_record(records: RecordCode, operation: Operation, resource: Resource) -> str:
    more = ", exclude_none=True" if records.contract.declared else ""
    sent = records.dumped(operation, more) if operation.request is not None else "{}"
    changes: Tree = {**assignments(operation.effect.assignments, resource)}
    changes.update(records.own(operation))
    return dictionary(changes, "(known or {})", sent)


def _changed(
    records: RecordCode, operation: Operation, answer: str, more: str, action: str
) -> Iterator[str]:
    resource = records.resource(operation)
    name, identity = text_literal(resource.name), records.identity(operation)
    yield "with repository.transaction():"
    yield f"    record = {records.required(operation, resource)}"
    if operation.request is not None:
        yield f"    sent = {records.dumped(operation, more)}"
        yield from _emptied(records, operation)
        yield from _still_unique(records, operation, resource, identity)
        if operation.rule == "replace" and records.contract.declared:
            replaced = sorted(records.sent(operation) - set(_fixed(records, resource, operation)))
            kept = f"name not in {literal([*replaced])}"
            yield f"    record = {{name: record[name] for name in record if {kept}}}"
    spread = ["sent"] if operation.request is not None else []
    changes: Tree = {**_fixed(records, resource, operation)}
    changes.update(assignments(operation.effect.assignments, resource))
    if spread or changes:
        yield f"    record |= {dictionary(changes, *spread)}"
    yield f"    repository.replace({name}, {identity}, record, {literal(action)})"
    yield records.answer(operation, answer)


def _emptied(records: RecordCode, operation: Operation) -> Iterator[str]:
    """A null that a document allows empties the field; another one means nothing."""
    members = properties(records.request(operation)) if records.contract.declared else {}
    names = [name for name, shape in members.items() if _allows_null(shape)]
    names = [name for name in names if attribute(name) == name]
    if names and operation.rule == "update":
        known = "{" + ", ".join(text_literal(name) for name in names) + "}"
        yield f"    sent |= dict.fromkeys((body.model_fields_set & {known}) - sent.keys())"


def _fixed(records: RecordCode, resource: Resource, operation: Operation) -> Tree:
    """A body may not change the identity of its record."""
    names = {resource.id_field, *(parent.field for parent in resource.parents)}
    kept = [name for name in sorted(names) if name in records.sent(operation)]
    return {name: f"record[{text_literal(name)}]" for name in kept}


def _still_unique(
    records: RecordCode, operation: Operation, resource: Resource, identity: str
) -> Iterator[str]:
    for name in resource.unique:
        if name in records.sent(operation):
            key = text_literal(name)
            value = f"sent.get({key})"
            yield (
                f"    repository.refuse_duplicate("
                f"{text_literal(resource.name)}, {key}, {value}, {identity})"
            )


def _allows_null(shape: Shape) -> bool:
    kind = shape.get("type")
    return isinstance(kind, list) and "null" in kind
