"""Streams: what is sent over a WebSocket concerns a record, or the whole service."""

from build_executor.spec.contract import Effect, Operation, Resource
from build_executor.spec.drafts import Draft
from build_executor.spec.kinds import Kind
from build_executor.spec.new_operation import new_operation
from build_executor.spec.places import segments
from build_executor.spec.situation import Classified
from build_executor.spec.workbench import Workbench


def make_stream(
    member: Classified, bench: Workbench, found: tuple[Kind, Resource] | None
) -> Operation:
    """A WebSocket whose messages tell of one record, or of all."""
    resource = found[1] if found else _resource_in_path(member.draft, bench)
    effect = Effect(id_parameter=_last_parameter(member.draft) if resource else None)
    return new_operation(member, bench, resource=resource, effect=effect, success_status=101)


def _resource_in_path(draft: Draft, bench: Workbench) -> Resource | None:
    """`/builds/{build_id}/stream` concerns a build if there are builds."""
    parts = segments(draft.path)
    for index, part in enumerate(parts):
        if part.startswith("{") and index:
            path = "/" + "/".join(parts[:index])
            return bench.resources.get(path)
    return None


def _last_parameter(draft: Draft) -> str | None:
    names = [part[1:-1] for part in segments(draft.path) if part.startswith("{")]
    return names[-1] if names else None
