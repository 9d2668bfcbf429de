"""What a create does to records, field by field, and which records an endpoint lies below."""

from collections.abc import Iterator

from build_executor.spec.birth_values import birth_values
from build_executor.spec.confirmations import answers_of
from build_executor.spec.contract import Effect, Reference, Resource, Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.kinds import Kind
from build_executor.spec.naming import plural, snake
from build_executor.spec.places import is_parameter, segments
from build_executor.spec.shapes import properties
from build_executor.spec.situation import Classified


def create_effect(
    member: Classified,
    kind: Kind,
    resource: Resource,
    resources: dict[str, Resource],
    sent: Shape | None,
) -> Effect:
    """A new record: everything in it that the caller did not send."""
    given = set(properties(sent))
    stored = tuple(birth_values(member.draft, kind, resource, given))
    return Effect(
        id_parameter=_own_parameter(member.draft, kind),
        parents=parents_of(member.draft, kind, resources),
        references=tuple(_references(properties(sent), resource, resources)),
        assignments=stored,
        answers=tuple(answers_of(member.draft, resource, "created")),
        idempotent=sent is not None and "idempotency" in member.draft.text,
    )


def _own_parameter(draft: Draft, kind: Kind) -> str | None:
    last = (segments(draft.path) or [""])[-1]
    own = kind.collection.parameter
    return last[1:-1] if is_parameter(last) and own is not None else None


def parents_of(draft: Draft, kind: Kind, resources: dict[str, Resource]) -> tuple[Reference, ...]:
    """The path parameters above the collection and the resources they identify."""
    return tuple(
        Reference(field=parameter, resource=name)
        for parameter, path in kind.collection.parents
        for name in [_by_path(path, resources)]
        if name is not None and f"{{{parameter}}}" in draft.path
    )


def _by_path(path: str, resources: dict[str, Resource]) -> str | None:
    return resources[path].name if path in resources else None


def _references(
    fields: dict[str, Shape], own: Resource, resources: dict[str, Resource]
) -> Iterator[Reference]:
    """`customer_id` in a body refers to customers, if this service creates customers."""
    by_name = {resource.name: resource for resource in resources.values()}
    for name in fields:
        spoken = snake(name)
        target = by_name.get(plural(spoken.removesuffix("_id"))) if spoken.endswith("_id") else None
        if target is not None and target.creatable and target.name != own.name:
            yield Reference(field=name, resource=target.name)
