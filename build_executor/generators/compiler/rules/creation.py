"""The statements that make records: what is refused, what is kept, and under which id."""

import re
from collections.abc import Iterator

from build_executor.generators.compiler.expressions import (
    Tree,
    assignments,
    attribute,
    dictionary,
    words,
)
from build_executor.generators.compiler.record_code import RecordCode
from build_executor.generators.compiler.text import literal, text_literal
from build_executor.spec.contract import Contract, Operation, Resource
from build_executor.spec.naming import variable
from build_executor.spec.shapes import required


def create(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """Keeps a new record."""
    resource = records.resource(operation)
    yield from records.parents(operation)
    has_body = operation.request is not None
    if has_body:
        more = ", exclude_none=True" if records.contract.declared else ""
        yield f"sent = {records.dumped(operation, more)}"
        yield from _repeated(records, operation, resource, answer)
        yield from _references(records, operation)
    yield from _distinct(records, operation, resource)
    yield from _hidden(records, operation, resource)
    yield f"record_id = {_new_id(records, operation, resource)}"
    fields: Tree = {resource.id_field: "record_id"}
    fields.update(_assigned(records, operation, resource))
    fields.update(records.own(operation))
    yield f"record: Record = {dictionary(fields, *(['sent'] if has_body else []))}"
    yield f"repository.add({text_literal(resource.name)}, record_id, record)"
    if has_body and operation.effect.idempotent:
        yield "repository.remember(key, asked, record_id)"
    yield records.answer(operation, answer)


def batch(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """Makes one record after the other; if one is refused, there are none."""
    effect = operation.effect
    create = next(
        o
        for o in records.contract.operations
        if o.resource == operation.resource and o.rule == "create"
    )
    more = ["None"] if create.effect.idempotent else []
    more += ["user"] if operation.owned or effect.assignments else []
    call = f"{create.name}({', '.join(['repository', 'item', *more])})"
    yield "with repository.transaction():"
    yield f"    made = [{call} for item in body.{attribute(str(effect.wraps))}]"
    members: Tree = {
        a.field: "len(made)" if a.source == "count" else literal(a.value) for a in effect.answers
    }
    if effect.collection is not None:
        members[effect.collection] = "made"
    yield f"return {answer}.model_validate({dictionary(members)})" if members else "return made"


def _repeated(
    records: RecordCode, operation: Operation, resource: Resource, answer: str
) -> Iterator[str]:
    """The same request with the same key again: the record that the first one made."""
    if not operation.effect.idempotent:
        return
    auth, scope = records.contract.auth, text_literal(f"{operation.name} ")
    if auth is not None and operation.owned:
        scope += f" + str(user[{text_literal(auth.id_field)}]) + ' '"
    yield f"key = idempotency_key and {scope} + idempotency_key"
    yield "asked = dict(sent)"
    yield "record_id = repository.recalled(key, asked)"
    yield "if record_id is not None:"
    yield f"    known = {_known(resource)}"
    yield "    " + re.sub(r"\brecord\b", "known", records.answer(operation, answer))


def _known(resource: Resource) -> str:
    name, noun = text_literal(resource.name), text_literal(words(resource.singular))
    return f"repository.require({name}, record_id, {noun})"


def _distinct(records: RecordCode, operation: Operation, resource: Resource) -> Iterator[str]:
    """Refuses a value that another record has where no two may share it."""
    for name in resource.unique:
        if name in records.sent(operation):
            arguments = f"{text_literal(resource.name)}, {text_literal(name)}"
            value = f"sent.get({text_literal(name)})"
            more = ", status=400" if _says_400(operation, records.contract) else ""
            yield f"repository.refuse_duplicate({arguments}, {value}{more})"


def _hidden(records: RecordCode, operation: Operation, resource: Resource) -> Iterator[str]:
    """Secrets are kept as hashes only."""
    for name in resource.secret:
        if name in records.sent(operation):
            key = text_literal(name)
            yield f"sent[{key}] = hash_secret(str(sent[{key}]))"


def _assigned(records: RecordCode, operation: Operation, resource: Resource) -> dict[str, str]:
    """The stored values, with the caller's where the SPEC names an owner."""
    found = assignments(operation.effect.assignments, resource)
    auth = records.contract.auth
    for item in operation.effect.assignments:
        if item.source == "user" and auth is not None:
            field = auth.id_field if item.value == "id" else auth.login_field
            found[item.field] = f"user[{text_literal(field)}]" if operation.secured else "None"
    return found


def _references(records: RecordCode, operation: Operation) -> Iterator[str]:
    needed = required(records.request(operation))
    for reference in operation.effect.references:
        key = text_literal(reference.field)
        code = f"sent[{key}]"
        if reference.field in needed:
            yield records.exists(reference, code)
        else:
            yield f"if sent.get({key}) is not None:"
            yield f"    {records.exists(reference, code)}"


def _new_id(records: RecordCode, operation: Operation, resource: Resource) -> str:
    if operation.effect.id_parameter is not None:
        return variable(operation.effect.id_parameter)
    fresh = f"new_id({literal(resource.id_prefix) if resource.id_prefix else ''})"
    if resource.id_type == "integer":
        fresh = f"repository.next_number({text_literal(resource.name)})"
    if resource.id_field in records.sent(operation):
        key = text_literal(resource.id_field)
        return f"sent.get({key}) or {fresh}"
    return fresh


def _says_400(operation: Operation, contract: Contract) -> bool:
    """Whether the document answers a duplicate with 400: it names that code, and 409 nowhere."""
    return contract.declared and 400 in operation.errors and 409 not in operation.errors  # noqa: PLR2004
