"""Resources: kinds of records with their ids, their states, and what they belong to."""

import re

from build_executor.spec.accounts import LOGIN_NAMES
from build_executor.spec.bodies import response_shape
from build_executor.spec.contract import Reference, Resource, Shape
from build_executor.spec.kinds import Kind, examples_of
from build_executor.spec.naming import singular
from build_executor.spec.shapes import is_type, object_of, properties
from build_executor.spec.states import initial_status_of, soft_delete_of, states_of, status_field_of
from build_executor.spec.verbs import terminal_states

_PREFIXED_ID = re.compile(r"([a-z]{2,8})[-_](?=\w*\d)\w+|([A-Z]{2,8})-(?=\w*\d)\w+")
_SECRET = re.compile(r"^(?:password|passwd|pass_word|pwd|secret_key|private_key|pin|cvv)$")
_NATURAL = ("slug", "email", "username", "code", "sku", "isbn", "key", "name")
_UNIQUE_WORDS = re.compile(r"already|duplicate|exists|unique|taken|in use")


def to_resource(kind: Kind, kinds: dict[str, Kind]) -> Resource:
    """The finished resource."""
    id_field = id_field_of(kind)
    status = status_field_of(kind)
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
        initial_status=initial_status_of(kind, status, states),
        terminal=terminal_states(states),
        states=tuple(states),
        unique=_unique(kind, id_field),
        parents=parents,
        soft_delete=soft_delete_of(kind, status),
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


def _id_prefix(kind: Kind, id_field: str) -> str:
    for example in examples_of(kind):
        value = example.get(id_field)
        found = _PREFIXED_ID.fullmatch(value) if isinstance(value, str) else None
        if found:
            return value[: len(found[1] or found[2]) + 1] if isinstance(value, str) else ""
    return ""


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
