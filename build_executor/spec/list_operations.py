"""Operations that list records: what they filter by and in what envelope they answer."""

import re

from build_executor.spec.answer_shapes import declared_answer, open_fields
from build_executor.spec.bodies import response_shape
from build_executor.spec.contract import (
    Counter,
    Effect,
    Note,
    Operation,
    Parameter,
    Resource,
    Shape,
)
from build_executor.spec.drafts import Draft
from build_executor.spec.effects import parents_of
from build_executor.spec.kinds import Kind
from build_executor.spec.listing import counters_of, echoes_of, query_parameters, zeros_of
from build_executor.spec.misfits import is_free
from build_executor.spec.naming import pascal
from build_executor.spec.new_operation import new_operation, path_parameters
from build_executor.spec.shapes import object_of, properties
from build_executor.spec.situation import Classified
from build_executor.spec.workbench import Workbench

_NEWEST = re.compile(r"newest|latest|recent|descending|reverse chronological")


def make_list(member: Classified, kind: Kind, resource: Resource, bench: Workbench) -> Operation:
    """Lists the records that the query and the path select."""
    draft = member.draft
    parameters = (*path_parameters(draft, bench), *query_parameters(draft, resource))
    parameters = tuple(_with_field(p, kind, resource, bench, draft) for p in parameters)
    answer = response_shape(draft)
    key = member.list_key if answer else _default_key(draft, resource)
    counters = tuple(counters_of(answer, list(bench.resources.values()), resource, listing=True))
    if key is not None and not answer:
        counters = (Counter(name="total", resource=resource.name, matching=True),)
    answers = tuple(echoes_of(answer, parameters))
    if draft.exact:
        known = {key or "", *(c.name for c in counters), *(a.field for a in answers)}
        answers += tuple(zeros_of(answer, known))
    effect = Effect(
        parents=parents_of(draft, kind, bench.resources),
        collection=key,
        counters=counters,
        answers=answers,
        newest_first=bool(_NEWEST.search(f"{draft.path} {draft.text}")),
    )
    shape = _list_answer(draft, resource, effect, answer)
    for parameter in parameters:
        if parameter.purpose == "unused" and parameter.location == "query":
            message = (
                f"query parameter `{parameter.name}` names no field and is accepted without effect"
            )
            bench.gaps.append(Note(line=draft.line, message=message, operation=draft.label))
    return new_operation(
        member, bench, resource=resource, parameters=parameters, response=shape, effect=effect
    )


def _with_field(
    parameter: Parameter, kind: Kind, resource: Resource, bench: Workbench, draft: Draft
) -> Parameter:
    if parameter.location != "path":
        return parameter
    parents = {reference.field for reference in parents_of(draft, kind, bench.resources)}
    if parameter.name in parents:
        return parameter.model_copy(update={"purpose": "parent", "field": parameter.name})
    if parameter.name in properties(resource.shape):
        return parameter.model_copy(update={"purpose": "filter", "field": parameter.name})
    return parameter


def _default_key(draft: Draft, resource: Resource) -> str | None:
    """Where the SPEC shows no answer: a bare list if it says array, else an envelope."""
    is_bare = re.search(r"\barray of\b|\ban? (?:json |plain |bare )?array\b", draft.text)
    return None if is_bare or draft.exact else resource.name


def _list_answer(draft: Draft, resource: Resource, effect: Effect, answer: Shape) -> Shape:
    if draft.exact:
        free: Shape = {"type": "array", "items": {"type": "object"}}
        return free if is_free(answer) else declared_answer(draft)
    items: Shape = {
        "type": "array",
        "items": {"$ref": f"#/components/schemas/{pascal(resource.singular)}"},
    }
    if effect.collection is None:
        return items
    known = {effect.collection, *(c.name.split(".")[0] for c in effect.counters)}
    known |= {a.field.split(".")[0] for a in effect.answers}
    if not answer:
        return object_of({effect.collection: items, "total": {"type": "integer"}}, known)
    fields = properties(open_fields(answer, known))
    return object_of({**fields, effect.collection: items}, known)
