"""Operations: drafts with their rule, their bodies, their parameters and their effect."""

from collections.abc import Sequence

from build_executor.spec.account_operations import make_account_operation
from build_executor.spec.batch_operations import make_batch
from build_executor.spec.contract import Operation
from build_executor.spec.count_operations import make_count, make_count_of
from build_executor.spec.list_operations import make_list
from build_executor.spec.misfits import misfit_of
from build_executor.spec.new_operation import new_operation, stub
from build_executor.spec.record_operations import (
    make_create,
    make_delete,
    make_field_read,
    make_record_operation,
)
from build_executor.spec.situation import Classified
from build_executor.spec.stream_operations import make_stream
from build_executor.spec.transition_operations import make_transition
from build_executor.spec.workbench import Workbench


def make_operations(classified: Sequence[Classified], bench: Workbench) -> list[Operation]:
    """The operations in the order given; those that use another's bodies are made after it."""
    made: dict[int, Operation] = {}
    for index in sorted(range(len(classified)), key=lambda i: classified[i].rule == "batch"):
        made[index] = make_operation(classified[index], bench)
    return [made[index] for index in range(len(classified))]


def make_operation(member: Classified, bench: Workbench) -> Operation:
    """The operation; a stub, with a gap noted, if its rule cannot be carried out."""
    found = bench.of(member)
    if member.rule == "stream":
        return make_stream(member, bench, found)
    if found is None:
        return _without_records(member, bench)
    kind, resource = found
    misfit = misfit_of(member)
    if misfit is not None:
        return stub(member, bench, misfit)
    maker = _MAKERS.get(member.rule, make_record_operation)
    return maker(member, kind, resource, bench)


def _without_records(member: Classified, bench: Workbench) -> Operation:
    draft = member.draft
    if member.rule == "information":
        return new_operation(member, bench, response={"type": "object"})
    if member.rule == "counters":
        return make_count(member, None, bench)
    reason = (
        f"{draft.label} stands for any method or another service: nothing says what it does"
        if draft.method == "ANY"
        else "nothing in the SPEC says how the answer comes about"
    )
    return stub(member, bench, reason)


_MAKERS = {
    "create": make_create,
    "batch": make_batch,
    "list": make_list,
    "delete": make_delete,
    "transition": make_transition,
    "counters": make_count_of,
    "field": make_field_read,
    "login": make_account_operation,
    "logout": make_account_operation,
    "me": make_account_operation,
}
