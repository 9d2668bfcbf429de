"""Operations on the caller's own account: signing in and out, and reading it."""

from build_executor.spec.answer_shapes import open_fields, record_answer, wrapper_in_answer
from build_executor.spec.bodies import request_shape, response_shape
from build_executor.spec.confirmations import answers_of
from build_executor.spec.contract import Assignment, Effect, Operation, Resource, Shape
from build_executor.spec.kinds import Kind
from build_executor.spec.new_operation import new_operation
from build_executor.spec.request_components import named_request
from build_executor.spec.shapes import object_of, properties, required
from build_executor.spec.situation import Classified
from build_executor.spec.workbench import Workbench


def make_account_operation(
    member: Classified, kind: Kind, resource: Resource, bench: Workbench
) -> Operation:
    """Signing in and out, and one's own account."""
    sent = request_shape(member.draft, bench.models)
    answers = list(answers_of(member.draft, resource, f"{member.rule} done"))
    if member.rule == "login" and not any(a.source == "token" for a in answers):
        answers.append(Assignment(field="token", source="token"))
    effect = Effect(answers=tuple(answers), wraps=wrapper_in_answer(member, kind))
    secured = bench.auth is not None and member.rule != "login"
    return new_operation(
        member,
        bench,
        resource=resource,
        request=named_request(member, sent, bench) if member.rule == "login" else None,
        response=_account_answer(member, kind, resource, effect),
        effect=effect,
        secured=secured,
        success_status=member.draft.success or 200,
    )


def _account_answer(
    member: Classified, kind: Kind, resource: Resource, effect: Effect
) -> Shape | None:
    if member.draft.exact:
        return member.draft.response.declared if member.draft.response else None
    answer = response_shape(member.draft)
    if not properties(answer) and member.rule == "login":
        answer = object_of({"token": {"type": "string"}, "token_type": {"type": "string"}})
    if not properties(answer) or wrapper_in_answer(member, kind):
        return record_answer(member, kind, resource, effect)
    shape = open_fields(answer, {a.field for a in effect.answers})
    token: dict[str, Shape] = {
        a.field: {"type": "string"} for a in effect.answers if a.source == "token"
    }
    return object_of({**properties(shape), **token}, {*required(shape), *token})
