"""Operations whose answers are counted from the stored records."""

import re
from collections.abc import Iterable

from pydantic import JsonValue

from build_executor.spec.answer_shapes import open_fields
from build_executor.spec.bodies import response_shape
from build_executor.spec.contract import Assignment, Effect, Note, Operation, Resource, Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.kinds import Kind
from build_executor.spec.listing import counters_of, echoes_of
from build_executor.spec.new_operation import id_parameter_of, new_operation, stub
from build_executor.spec.shapes import object_of, properties
from build_executor.spec.situation import Classified
from build_executor.spec.workbench import Workbench

_HEALTH = re.compile(r"/(?:health|healthz|healthcheck|ping)$")


def make_count(member: Classified, resource: Resource | None, bench: Workbench) -> Operation:
    """An answer made of counts: implemented as far as its fields can be counted."""
    answer = response_shape(member.draft) or _health_answer(member.draft)
    resources = list(bench.resources.values())
    counters = tuple(counters_of(answer, resources, resource, listing=False))
    answers = [*echoes_of(answer, ()), *_identity(answer, member.draft, bench)]
    is_whole = bool(answers) and properties(answer).keys() <= {a.field for a in answers}
    if not counters and not is_whole:
        return stub(member, bench, "none of the answer's fields can be counted from stored records")
    known = {c.name.split(".")[0] for c in counters} | {a.field for a in answers}
    for name in properties(answer):
        if name not in known:
            message = f"`{name}` is answered as null: nothing says how it is computed"
            bench.gaps.append(
                Note(line=member.draft.line, message=message, operation=member.draft.label)
            )
    effect = Effect(counters=counters, answers=tuple(answers), id_parameter=id_parameter_of(member))
    shape = open_fields(answer, known)
    return new_operation(member, bench, resource=resource, response=shape, effect=effect)


def _health_answer(draft: Draft) -> Shape:
    """What a health endpoint beside the UDC's says where the SPEC shows no answer."""
    names = ("status", "service", "version") if _HEALTH.search(draft.path) else ()
    return object_of({name: {"type": "string"} for name in names}) if names else {}


def _identity(answer: Shape, draft: Draft, bench: Workbench) -> Iterable[Assignment]:
    values: dict[str, JsonValue] = {"service": bench.service, "version": bench.version}
    if _HEALTH.search(draft.path):
        values["status"] = "active"
    for name in properties(answer):
        if name in values:
            yield Assignment(field=name, source="literal", value=values[name])


def make_count_of(
    member: Classified, _kind: Kind, resource: Resource, bench: Workbench
) -> Operation:
    """The counts that concern one resource."""
    return make_count(member, resource, bench)
