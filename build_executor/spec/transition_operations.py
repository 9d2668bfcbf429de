"""Operations that change a record's state; a stub where nothing says what the verb does."""

from collections.abc import Iterator

from build_executor.spec.answer_shapes import record_answer, wrapper_in_answer
from build_executor.spec.bodies import request_shape
from build_executor.spec.contract import Effect, Note, Operation, Resource
from build_executor.spec.effects import parents_of
from build_executor.spec.kinds import Kind
from build_executor.spec.new_operation import new_operation, stub
from build_executor.spec.request_components import named_request
from build_executor.spec.situation import Classified
from build_executor.spec.transition_effects import transition_effect
from build_executor.spec.verbs import changes_state
from build_executor.spec.workbench import Workbench


def make_transition(
    member: Classified, kind: Kind, resource: Resource, bench: Workbench
) -> Operation:
    """Changes a record as its verb says; a stub, with a gap noted, if nothing says how."""
    sent = request_shape(member.draft, bench.models)
    effect = transition_effect(member, kind, resource, sent)
    if effect is None or not _is_plausible(member, kind, effect):
        return stub(
            member, bench, f"nothing says what `{member.verb}` does to a {resource.singular}"
        )
    effect = effect.model_copy(
        update={
            "parents": parents_of(member.draft, kind, bench.resources),
            "wraps": wrapper_in_answer(member, kind),
        }
    )
    for message in _assumed(kind, resource, effect):
        bench.assumptions.append(
            Note(line=member.draft.line, message=message, operation=member.draft.label)
        )
    return new_operation(
        member,
        bench,
        resource=resource,
        request=named_request(member, sent, bench),
        response=record_answer(member, kind, resource, effect),
        effect=effect,
    )


def _is_plausible(member: Classified, kind: Kind, effect: Effect) -> bool:
    """Where the status itself is assumed, not every verb may be assumed to set it."""
    sets_status = isinstance(effect.target, str)
    return not (kind.assumes_status and sets_status) or changes_state(member.verb)


def _assumed(kind: Kind, resource: Resource, effect: Effect) -> Iterator[str]:
    if not effect.target:
        return
    if kind.assumes_status:
        noun = resource.singular.replace("_", " ")
        made = f"each {noun} is pending until this makes it {effect.target}"
        yield f"the SPEC names no status: {made}"
    elif resource.terminal and not (effect.allowed_from or effect.refused_from):
        yield f"allowed from every state but {', '.join(resource.terminal)}: the SPEC names none"
