"""The statements that take a record from one state to the next, or refuse to."""

from collections.abc import Iterator

from build_executor.generators.compiler.expressions import Tree, assigned, dictionary
from build_executor.generators.compiler.record_code import RecordCode
from build_executor.generators.compiler.text import literal, text_literal
from build_executor.spec.contract import Effect, Operation, Resource


def transition(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """Changes a record's state, unless its present state forbids it."""
    resource, effect = records.resource(operation), operation.effect
    name, identity = text_literal(resource.name), records.identity(operation)
    yield "with repository.transaction():"
    yield f"    record = {records.required(operation, resource)}"
    yield from _guard(resource, effect)
    if operation.request is not None:
        yield f"    sent = {records.dumped(operation, ', exclude_unset=True')}"
    yield f"    record |= {_changes(operation, resource)}"
    yield f"    repository.replace({name}, {identity}, record, {_action(operation)})"
    yield records.answer(operation, answer)


def _guard(resource: Resource, effect: Effect) -> Iterator[str]:
    field = resource.status_field
    changed = {item.field for item in effect.assignments}
    if field is None or field not in changed:
        return
    if effect.allowed_from:
        states = literal(list(effect.allowed_from))
        yield f"    require_state(record, {text_literal(field)}, {states})"
    else:
        own = [*_own_target(resource, effect), *effect.refused_from]
        refused = list(dict.fromkeys([*resource.terminal, *own]))
        if refused:
            yield f"    refuse_states(record, {text_literal(field)}, {literal(list(refused))})"


def _changes(operation: Operation, resource: Resource) -> str:
    effect = operation.effect
    fixed: Tree = {}
    copied = {item.field: item.value for item in effect.assignments if item.source == "body"}
    for item in effect.assignments:
        if item.source != "body":
            fixed[item.field] = assigned(item, resource)
        elif item.value != item.field:
            fixed[item.field] = f"sent[{text_literal(str(item.value))}]"
    if effect.decision and resource.status_field and effect.rejected is not None:
        chosen = f"sent.get({text_literal(effect.decision)}, True)"
        accepted = fixed.get(resource.status_field, literal(effect.target))
        fixed[resource.status_field] = f"{accepted} if {chosen} else {literal(effect.rejected)}"
    return dictionary(fixed, *(["sent"] if copied else []))


def _action(operation: Operation) -> str:
    target = operation.effect.target
    return literal(target) if isinstance(target, str) else literal("updated")


def _own_target(resource: Resource, effect: Effect) -> list[str]:
    """A transition into the end is refused the second time; into another state it is not."""
    target = effect.target
    return [target] if isinstance(target, str) and target in resource.terminal else []
