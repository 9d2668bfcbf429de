"""Operations on one record: create, read, replace, update, delete, and read one field."""

from build_executor.spec.answer_shapes import open_fields, record_answer, wrapper_in_answer
from build_executor.spec.bodies import request_shape, response_shape
from build_executor.spec.confirmations import answers_of
from build_executor.spec.contract import Effect, Note, Operation, Parameter, Resource, Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.effects import create_effect, parents_of
from build_executor.spec.instants import touch
from build_executor.spec.kinds import Kind
from build_executor.spec.naming import snake
from build_executor.spec.new_operation import id_parameter_of, new_operation, path_parameters, stub
from build_executor.spec.request_components import named_request
from build_executor.spec.resources import id_field_of
from build_executor.spec.shapes import nullable, object_of, properties
from build_executor.spec.situation import Classified
from build_executor.spec.workbench import Workbench


def make_create(member: Classified, kind: Kind, resource: Resource, bench: Workbench) -> Operation:
    """Makes a record; the first create of a resource is what a batch repeats."""
    sent = request_shape(member.draft, bench.models)
    effect = create_effect(member, kind, resource, bench.resources, sent)
    _note_unknown(member, kind, {resource.id_field, *properties(sent)}, effect, bench)
    operation = new_operation(
        member,
        bench,
        resource=resource,
        request=named_request(member, sent, bench),
        response=record_answer(member, kind, resource, effect),
        effect=effect.model_copy(update={"wraps": wrapper_in_answer(member, kind)}),
        parameters=(*path_parameters(member.draft, bench), *([_KEY] if effect.idempotent else [])),
    )
    bench.creates.setdefault(resource.name, operation)
    return operation


_KEY = Parameter(name="Idempotency-Key", location="header", shape={"type": "string"})


def _note_unknown(
    member: Classified, kind: Kind, given: set[str], effect: Effect, bench: Workbench
) -> None:
    """What a create answers, though nothing sends or computes it, now or later."""
    draft = member.draft
    answered = properties(response_shape(draft))
    answered = properties(answered.get(wrapper_in_answer(member, kind) or "")) or answered
    known = given | {a.field for a in (*effect.assignments, *effect.answers)}
    known |= {r.field for r in effect.parents}
    for other in kind.of_rule("update", "replace", "transition"):
        known |= set(properties(request_shape(other, bench.models)))
        known |= set(properties(response_shape(other)))
    for name in () if draft.exact else sorted(answered.keys() - known):
        message = f"`{name}` is answered as null: nothing says how it is computed"
        bench.gaps.append(Note(line=draft.line, message=message, operation=draft.label))


def make_record_operation(
    member: Classified, kind: Kind, resource: Resource, bench: Workbench
) -> Operation:
    """Read, replace, update, delete."""
    sent = request_shape(member.draft, bench.models)
    if member.rule == "update" and sent is not None and not member.draft.exact:
        sent = object_of({n: _changeable(s) for n, s in properties(sent).items()})
    done = {"delete": resource.soft_delete or "deleted"}.get(member.rule, "updated")
    answers = tuple(answers_of(member.draft, resource, done))
    effect = Effect(
        id_parameter=id_parameter_of(member),
        parents=parents_of(member.draft, kind, bench.resources),
        assignments=touch(resource) if member.rule != "read" else (),
        answers=answers if member.rule != "read" else (),
        wraps=wrapper_in_answer(member, kind),
        target=resource.soft_delete if member.rule == "delete" else None,
    )
    return new_operation(
        member,
        bench,
        resource=resource,
        request=named_request(member, sent, bench),
        response=record_answer(member, kind, resource, effect),
        effect=effect,
    )


def _changeable(shape: Shape) -> Shape:
    """In a change, what is not sent stays: nothing has a default."""
    return nullable({word: value for word, value in shape.items() if word != "default"})


def make_delete(member: Classified, kind: Kind, resource: Resource, bench: Workbench) -> Operation:
    """Deletes a record, or keeps it in the state that the answer shows."""
    operation = make_record_operation(member, kind, resource, bench)
    draft = member.draft
    answered = draft.response is not None or resource.soft_delete is not None
    status = draft.success or (200 if answered else 204)
    shape = operation.response if resource.soft_delete else _deleted_answer(draft, kind, status)
    if draft.exact:
        shape = draft.response.declared if draft.response else None
    return operation.model_copy(update={"response": shape, "success_status": status})


def _deleted_answer(draft: Draft, kind: Kind, status: int) -> Shape | None:
    if status == 204:  # noqa: PLR2004 - HTTP: no content
        return None
    answer = response_shape(draft)
    return open_fields(answer, ()) if properties(answer) else object_of({id_field_of(kind): {}})


def make_field_read(
    member: Classified, kind: Kind, resource: Resource, bench: Workbench
) -> Operation:
    """Answers one field of a record; a stub if no record has it."""
    name = snake(member.verb)
    shape = properties(resource.shape).get(name)
    if shape is None:
        return stub(
            member, bench, f"nothing says what the {member.verb} of a {resource.singular} is"
        )
    effect = Effect(
        id_parameter=id_parameter_of(member),
        parents=parents_of(member.draft, kind, bench.resources),
    )
    answer = object_of({resource.id_field: {}, name: nullable(shape)}, [resource.id_field])
    return new_operation(member, bench, resource=resource, response=answer, effect=effect)
