"""The kinds of records a service keeps, each with the fields that its endpoints show."""

import re
from collections.abc import Iterable, Iterator

from pydantic import JsonValue

from build_executor.spec.accounts import TOKEN_NAMES
from build_executor.spec.bodies import best_model, request_shape, response_shape
from build_executor.spec.contract import Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.kinds import DECISIONS, Kind, wrapper_of
from build_executor.spec.naming import singular, snake
from build_executor.spec.places import Collection, normal
from build_executor.spec.python_models import PythonModel
from build_executor.spec.shapes import merge, properties, required
from build_executor.spec.situation import Classified
from build_executor.spec.states import lacks_status
from build_executor.spec.verbs import STATUS_NAMES


def find_kinds(classified: Iterable[Classified], models: dict[str, PythonModel]) -> dict[str, Kind]:
    """One kind for each collection that some endpoint uses, by the collection's path."""
    kinds: dict[str, Kind] = {}
    taken: dict[str, str] = {}
    for member in classified:
        if member.collection is None:
            continue
        path = normal(member.collection.path)
        if path not in kinds:
            kinds[path] = Kind(member.collection, _free_name(member.collection, taken))
            taken[kinds[path].name] = path
        kinds[path].members.append(member)
    for kind in kinds.values():
        _learn_fields(kind, models)
    return kinds


def _free_name(collection: Collection, taken: dict[str, str]) -> str:
    name = collection.noun
    if name in taken and collection.parents:
        parent = collection.parents[-1][1].rsplit("/", 1)[-1]
        name = f"{singular(snake(parent))}_{name}"
    number = 2
    while name in taken:
        name, number = f"{collection.noun}_{number}", number + 1
    return name


def _learn_fields(kind: Kind, models: dict[str, PythonModel]) -> None:
    """The fields of the entity: what is sent and answered, typed by its class if there is one."""
    sent = _sent_fields(kind, models)
    fields: dict[str, Shape] = {}
    for draft in kind.of_rule("create", "read", "replace", "update", "transition"):
        answer = response_shape(draft)
        _learn(fields, properties(answer))
        kind.promised |= set(required(answer)) if draft.exact else set()
    fields = {n: s for n, s in fields.items() if n in sent or n not in _PACKING_ONLY}
    _learn(fields, sent)
    for member in kind.members:
        if member.rule == "list":
            _learn(fields, dict(_queried_states(member.draft)))
            _learn(fields, properties(_item_shape(member)))
            kind.promised |= set(required(_item_shape(member))) if member.draft.exact else set()
    fields = _unwrapped(kind, fields)
    kind.model = _model_of(kind, fields, models)
    kind.fields = {**fields, **(kind.model.fields if kind.model else {})}
    if lacks_status(kind):
        kind.assumes_status = True
        kind.fields["status"] = {"type": "string"}


def _sent_fields(kind: Kind, models: dict[str, PythonModel]) -> dict[str, Shape]:
    fields: dict[str, Shape] = {}
    for draft in kind.of_rule("create"):
        kind.needed |= set(required(request_shape(draft, models)))
    for draft in kind.of_rule("create", "replace", "update", "transition"):
        sent = properties(request_shape(draft, models))
        _learn(fields, {name: shape for name, shape in sent.items() if name not in DECISIONS})
    return fields


def _queried_states(draft: Draft) -> Iterator[tuple[str, Shape]]:
    """`?status=open|closed` names the states."""
    for name, sample in draft.query.items():
        words: list[JsonValue] = [*str(sample).split("|")]
        if name in STATUS_NAMES and len(words) > 1:
            yield name, {"type": "string", "enum": words}


def _learn(fields: dict[str, Shape], more: dict[str, Shape]) -> None:
    for name, shape in more.items():
        known = fields.get(name)
        fields[name] = shape if known is None else merge(known, shape) or known


def _item_shape(member: Classified) -> Shape:
    answer = response_shape(member.draft)
    if answer.get("type") != "array":
        answer = properties(answer).get(member.list_key or "", {})
    items = answer.get("items")
    return items if isinstance(items, dict) else {}


def _unwrapped(kind: Kind, fields: dict[str, Shape]) -> dict[str, Shape]:
    """`{"payment": {...}}` and `{"data": {...}}` hold the record; the rest is packing."""
    wrapper = wrapper_of(kind, fields)
    if wrapper is None:
        return fields
    inner = properties(fields[wrapper])
    outer = {n: s for n, s in fields.items() if n != wrapper and n not in _PACKING}
    sent = {
        n
        for draft in kind.of_rule("create")
        if draft.request
        for n in properties(draft.request.shape)
    }
    return {**inner, **{n: s for n, s in outer.items() if n in sent}}


_PACKING = frozenset({"success", "message", "status", "error", "timestamp"})
_PACKING_ONLY = frozenset({"success", "message", "token_type", "expires_in"}) | TOKEN_NAMES


def _model_of(
    kind: Kind, fields: dict[str, Shape], models: dict[str, PythonModel]
) -> PythonModel | None:
    by_name = {snake(name): model for name, model in models.items()}
    named = by_name.get(singular(kind.name))
    if named is not None:
        return named
    parameter = kind.collection.parameter
    holders = {
        name: model
        for name, model in models.items()
        if parameter
        and parameter in model.fields
        and len(parameter) > len("id")
        and not re.search(r"Request|Create|Input|Update|Response", name)
    }
    named_alike = [model for name, model in holders.items() if singular(kind.name) in snake(name)]
    if named_alike:
        return named_alike[0]
    return best_model(
        holders, [name for name in fields if name in _all_fields(holders)], request=False
    )


def _all_fields(models: dict[str, PythonModel]) -> set[str]:
    return {name for model in models.values() for name in model.fields}
