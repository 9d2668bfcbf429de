"""The kinds of records a service keeps: their fields, ids, states, and what they belong to."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from pydantic import JsonValue

from build_executor.spec.accounts import LOGIN_NAMES, TOKEN_NAMES
from build_executor.spec.bodies import best_model, request_shape, response_shape
from build_executor.spec.classification import Classified
from build_executor.spec.contract import Reference, Resource, Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.naming import singular, snake
from build_executor.spec.places import Collection, normal
from build_executor.spec.python_models import PythonModel
from build_executor.spec.shapes import (
    is_type,
    merge,
    object_of,
    properties,
    required,
)
from build_executor.spec.verbs import (
    STATUS_NAMES,
    changes_state,
    participle,
    targets,
    terminal_states,
)

_PREFIXED_ID = re.compile(r"([a-z]{2,8})[-_](?=\w*\d)\w+|([A-Z]{2,8})-(?=\w*\d)\w+")
_SECRET = re.compile(r"^(?:password|passwd|pass_word|pwd|secret_key|private_key|pin|cvv)$")
_NATURAL = ("slug", "email", "username", "code", "sku", "isbn", "key", "name")
_UNIQUE_WORDS = re.compile(r"already|duplicate|exists|unique|taken|in use")
_PENDING = re.compile(r"pending|queued|draft|open|created|new|todo|submitted|scheduled|registered")


@dataclass(slots=True)
class Kind:
    """One resource while it is put together."""

    collection: Collection
    name: str
    members: list[Classified] = field(default_factory=list)
    fields: dict[str, Shape] = field(default_factory=dict)
    needed: set[str] = field(default_factory=set)
    model: PythonModel | None = None
    promised: set[str] = field(default_factory=set)
    """Fields that a declared answer always has."""
    assumes_status: bool = False
    """Whether its verbs need a status that the SPEC does not name."""

    def of_rule(self, *rules: str) -> list[Draft]:
        """The drafts of these rules."""
        return [member.draft for member in self.members if member.rule in rules]


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
    if _lacks_status(kind):
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
DECISIONS = frozenset({"approved", "accepted", "accept", "approve", "confirmed"})
_PACKING_ONLY = frozenset({"success", "message", "token_type", "expires_in"}) | TOKEN_NAMES


def wrapper_of(kind: Kind, fields: dict[str, Shape]) -> str | None:
    """The key that an answer wraps the record in, if it does."""
    noun = singular(kind.name)
    for name, shape in fields.items():
        inner = properties(shape) if is_type(shape, "object") else {}
        has_id = "id" in inner or f"{noun}_id" in inner or kind.collection.parameter in inner
        if name in {noun, "data", "item", "result"} and has_id:
            return name
    return None


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


def to_resource(kind: Kind, kinds: dict[str, Kind]) -> Resource:
    """The finished resource."""
    id_field = id_field_of(kind)
    status = _status_field(kind)
    states = states_of(kind, status)
    fields = {id_field: _id_shape(kind, id_field)} | {
        name: shape for name, shape in kind.fields.items() if name != id_field
    }
    parents = tuple(
        Reference(field=parameter, resource=kinds[path].name)
        for parameter, path in kind.collection.parents
        if path in kinds
    )
    for parameter, path in kind.collection.parents:
        if path in kinds:
            fields.setdefault(parameter, _id_shape(kinds[path], id_field_of(kinds[path])))
    return Resource(
        name=kind.name,
        singular=singular(kind.name),
        id_field=id_field,
        id_type="integer" if is_type(fields[id_field], "integer") else "string",
        id_prefix=_id_prefix(kind, id_field),
        shape=object_of(fields),
        status_field=status,
        initial_status=_initial_status(kind, status, states),
        terminal=terminal_states(states),
        states=tuple(states),
        unique=_unique(kind, id_field),
        parents=parents,
        soft_delete=_soft_delete(kind, status),
        secret=tuple(name for name in fields if _SECRET.match(name)),
        always=tuple(sorted(kind.needed)),
        creatable=bool(kind.of_rule("create", "replace")),
        line=min(member.draft.line for member in kind.members),
    )


def id_field_of(kind: Kind) -> str:
    """The field that identifies a record: named as the parameter, `id`, or `<noun>_id`."""
    parameter = kind.collection.parameter
    own = f"{singular(kind.name)}_id"
    for name in (parameter, own, "id"):
        if name and name in kind.fields:
            return name
    answered = [n for d in kind.of_rule("create") for n in properties(response_shape(d))]
    sent = {n for d in kind.of_rule("create") if d.request for n in properties(d.request.shape)}
    for name in answered:
        if name.endswith("_id") and name not in sent:
            return name
    return parameter or own


def _id_shape(kind: Kind, id_field: str) -> Shape:
    shape = kind.fields.get(id_field, {})
    return shape if is_type(shape, "integer", "string") else {"type": "string"}


def _examples(kind: Kind) -> Iterable[dict[str, JsonValue]]:
    for member in kind.members:
        body = member.draft.response
        if body is None or not isinstance(body.example, dict):
            continue
        yield body.example
        items = body.example.get(member.list_key or "")
        if isinstance(items, list):
            yield from (item for item in items if isinstance(item, dict))


def _id_prefix(kind: Kind, id_field: str) -> str:
    for example in _examples(kind):
        value = example.get(id_field)
        found = _PREFIXED_ID.fullmatch(value) if isinstance(value, str) else None
        if found:
            return value[: len(found[1] or found[2]) + 1] if isinstance(value, str) else ""
    return ""


def _status_field(kind: Kind) -> str | None:
    names = [*STATUS_NAMES, _own_status(kind)]
    return next((n for n in names if n in kind.fields and _is_text(kind.fields[n])), None)


def _lacks_status(kind: Kind) -> bool:
    """Whether something is approved or cancelled here, and nothing says where that is kept."""
    if {"status", "state", _own_status(kind)} & set(kind.fields):
        return False
    changes = [m for m in kind.members if m.rule == "transition" and changes_state(m.verb)]
    return any(not m.draft.exact and not _has_switch(kind, m.verb) for m in changes)


def _has_switch(kind: Kind, verb: str) -> bool:
    names = [name for word in targets(verb) for name in (word, f"is_{word}")]
    return any(is_type(kind.fields.get(name), "boolean") for name in names)


def _own_status(kind: Kind) -> str:
    return f"{singular(kind.name)}_status"


def _is_text(shape: Shape) -> bool:
    return is_type(shape, "string") or not shape


def states_of(kind: Kind, status: str | None) -> list[str]:
    """All states that the SPEC names: an enumeration, examples, and targets of transitions."""
    if status is None:
        return []
    enum = cast("list[JsonValue]", kind.fields[status].get("enum") or [])
    states = [str(value) for value in enum if value is not None]
    for example in _examples(kind):
        value = example.get(status)
        if isinstance(value, str) and not enum:
            states.append(value)
    if not enum:
        states.extend(participle(m.verb) for m in kind.members if m.rule == "transition" and m.verb)
    return list(dict.fromkeys(states))


def _initial_status(kind: Kind, status: str | None, states: Sequence[str]) -> JsonValue:
    """What a new record's status is: as answered, by default, or the state that reads like it."""
    if status is None:
        return None
    if kind.assumes_status:
        return "pending"
    answered = _answered_status(kind, status)
    default = kind.fields[status].get("default")
    if kind.model is not None:
        default = kind.model.defaults.get(status, default)
    if answered is not None or default is not None:
        return default if answered is None else answered
    ends = {target for m in kind.members if m.verb for target in targets(m.verb)}
    likely = [state for state in states if _PENDING.search(state)]
    rest = [state for state in states if state not in ends]
    return next(iter([*likely, *rest, *states]), "pending")


def _answered_status(kind: Kind, status: str) -> str | None:
    for draft in kind.of_rule("create"):
        example = draft.response.example if draft.response else None
        value = example.get(status) if isinstance(example, dict) else None
        if isinstance(value, str):
            return value
    return None


def _soft_delete(kind: Kind, status: str | None) -> str | None:
    """A DELETE that answers with a status keeps the record in that status."""
    for draft in kind.of_rule("delete"):
        example = draft.response.example if draft.response else None
        value = example.get(status or "status") if isinstance(example, dict) else None
        if (
            status
            and isinstance(value, str)
            and value not in {"success", "ok", "deleted", "removed"}
        ):
            return value
    return None


def _unique(kind: Kind, id_field: str) -> tuple[str, ...]:
    """Fields that no two records share: marked so, or natural keys where the SPEC says 409."""
    account = [n for n in LOGIN_NAMES if n in kind.fields and any(map(_SECRET.match, kind.fields))]
    if account:
        return tuple(account[:1])
    if kind.model is not None and kind.model.unique:
        return tuple(name for name in kind.model.unique if name != id_field)
    for draft in kind.of_rule("create"):
        text = f"{draft.errors.get(409, '')} {draft.text}"
        if 409 in draft.errors or re.search(r"\bunique\b", text):  # noqa: PLR2004 - HTTP: conflict
            sent = properties(draft.request.shape) if draft.request else dict.fromkeys(draft.inputs)
            named = [
                n for n in sent if re.search(rf"\b{re.escape(n)}\b", draft.errors.get(409, ""))
            ]
            natural = [n for n in _NATURAL if n in sent and _UNIQUE_WORDS.search(text)]
            found = [name for name in (named or natural[:1]) if name != id_field]
            return tuple(found)
    return ()
