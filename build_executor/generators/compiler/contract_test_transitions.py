"""How a generated test brings a record into a state, and what it expects there."""

from collections import deque
from collections.abc import Iterator

from build_executor.generators.compiler.contract_test_calls import (
    answered_members,
    body_of,
    followed,
    path_code,
    record_codes,
)
from build_executor.generators.compiler.contract_test_cases import (
    ResourceCase,
    Step,
    TransitionCase,
)
from build_executor.generators.compiler.text import literal
from build_executor.spec.contract import Contract, Operation, Resource


def transition_cases(contract: Contract, case: ResourceCase) -> Iterator[TransitionCase]:
    """The transitions of a resource that a new record can reach."""
    operations = [o for o in followed(contract, case, "transition") if o.effect.target is not None]
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
            field=status if moves and status in answered_members(contract, operation) else None,
            target=literal(target),
            is_refused_at_first=bool(moves and allowed and initial not in allowed),
            is_refused_twice=bool(moves and ends),
            wraps=operation.effect.wraps,
        )


def _step(contract: Contract, case: ResourceCase, operation: Operation) -> Step:
    body = body_of(contract, operation, 2)
    if isinstance(body, dict) and operation.effect.decision:
        body = {**body, operation.effect.decision: True}
    path = path_code(operation, record_codes(case, operation))
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
