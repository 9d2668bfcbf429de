"""Operations that make many records at once, by the rules of making one."""

import re
from collections.abc import Iterable

from build_executor.spec.answer_shapes import open_fields
from build_executor.spec.bodies import response_shape
from build_executor.spec.contract import Assignment, Effect, Operation, Resource, Shape
from build_executor.spec.kinds import Kind
from build_executor.spec.new_operation import new_operation, stub
from build_executor.spec.shapes import is_array, is_type, object_of, properties
from build_executor.spec.situation import Classified
from build_executor.spec.workbench import Workbench


def make_batch(member: Classified, _kind: Kind, resource: Resource, bench: Workbench) -> Operation:
    """Many records at once, each as its own create would make it: all of them, or none."""
    create = bench.creates.get(resource.name)
    if create is None or create.effect.wraps or create.parameters_in("path"):
        return stub(member, bench, f"nothing says how one {resource.singular} of many is made")
    answer = response_shape(member.draft)
    items: Shape = {"type": "array", "items": create.response or {}}
    answers = tuple(_batch_answers(answer, member))
    known = {a.field for a in answers} | ({member.list_key} if member.list_key else set())
    shape = object_of(
        {
            **properties(open_fields(answer, known)),
            **({member.list_key: items} if member.list_key else {}),
        },
        known,
    )
    sent: Shape = {"type": "array", "items": create.request or {}, "minItems": 1, "maxItems": 1000}
    users = tuple(a for a in create.effect.assignments if a.source == "user")
    effect = Effect(
        wraps=member.verb, collection=member.list_key, answers=answers, assignments=users
    )
    return new_operation(
        member,
        bench,
        resource=resource,
        success_status=member.draft.success or 201,
        request=object_of({member.verb: sent}, [member.verb]),
        response=shape if known else items,
        effect=effect,
    )


_COUNTS = re.compile(
    r"^(?:count|total|(?:\w+_)?(?:created|imported|inserted|added|succeeded|processed)(?:_count)?)$"
)
_FAILURES = re.compile(r"^(?:errors|failures|(?:\w+_)?(?:failed|skipped|rejected)(?:_count)?)$")


def _batch_answers(answer: Shape, member: Classified) -> Iterable[Assignment]:
    for name, shape in properties(answer).items():
        if name == member.list_key:
            continue
        if is_type(shape, "integer") and _COUNTS.match(name):
            yield Assignment(field=name, source="count")
        elif is_type(shape, "integer", "array") and _FAILURES.match(name):
            yield Assignment(field=name, source="literal", value=[] if is_array(shape) else 0)
        elif name in {"success", "ok"}:
            yield Assignment(field=name, source="literal", value=True)
