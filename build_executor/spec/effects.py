"""What an endpoint does to records, field by field, once its rule is known."""

import re
from collections.abc import Iterator

from pydantic import JsonValue

from build_executor.spec.accounts import TOKEN_NAMES
from build_executor.spec.classification import Classified
from build_executor.spec.contract import Assignment, Effect, Reference, Resource, Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.naming import plural, singular, snake
from build_executor.spec.places import is_parameter, segments
from build_executor.spec.resources import DECISIONS, Kind, states_of
from build_executor.spec.shapes import is_instant_name, is_type, properties, required
from build_executor.spec.verbs import (
    alike,
    allowed_from,
    participle,
    stated_refusals,
    stated_sources,
    stated_target,
    targets,
)

_BIRTH = re.compile(
    r"^(?:created|submitted|registered|queued|received|inserted|added|requested|joined|opened|placed"
    r"|uploaded|started_on|posted|recorded)(?:_at|_on|_time)?$|^(?:timestamp|created_time)$"
)
_TOUCHED = re.compile(
    r"^(?:updated|modified|changed|last_updated|last_modified|last_changed)(?:_at|_on)?$"
)
_NOT_NOW = re.compile(
    r"estimat|expir|due|deadline|scheduled|until|next|creat|submitted|start|regist"
)
_FUTURE = re.compile(
    r"estimat|expir|due|deadline|scheduled|until|next|complete|finish|end|start|expected"
)
_COUNTED = re.compile(
    r"count$|retries$|attempts$|progress|views$|likes$|version$|points$|clicks$|uses$"
)
_LINK = re.compile(r".*(?:url|uri|link|href|path)$")
_HOST = re.compile(r"^(?:https?|wss?)://[^/]+(?=/)")
_POSITION = re.compile(r"^(?:queue_)?position$")


def create_effect(
    member: Classified,
    kind: Kind,
    resource: Resource,
    resources: dict[str, Resource],
    sent: Shape | None,
) -> Effect:
    """A new record: everything in it that the caller did not send."""
    given = set(properties(sent))
    stored = tuple(_birth_values(member.draft, kind, resource, given))
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


def _birth_values(
    draft: Draft, kind: Kind, resource: Resource, given: set[str]
) -> Iterator[Assignment]:
    of_parents = list(_from_path(draft, resource, given))
    yield from of_parents
    linked = {p.field for p in resource.parents} | {a.field for a in of_parents}
    for name, shape in properties(resource.shape).items():
        if name in given | linked | {resource.id_field}:
            continue
        value = _birth_value(draft, kind, resource, name) or _empty(kind, name, shape)
        if value is not None:
            yield value


def _from_path(draft: Draft, resource: Resource, given: set[str]) -> Iterator[Assignment]:
    """The parents that the path names, under each field that holds one."""
    for name in sorted({parent.field for parent in resource.parents} - {resource.id_field}):
        if f"{{{name}}}" in draft.path:
            for field in (name, *sorted(_aliases(name, resource) - given)):
                yield Assignment(field=field, source="parameter", value=name)


def _aliases(parameter: str, resource: Resource) -> set[str]:
    """Fields that hold the same parent as a path parameter: `room_id` for `{roomId}`."""
    noun = next(p.resource for p in resource.parents if p.field == parameter)
    spoken = {snake(parameter), f"{singular(noun)}_id"}
    return {n for n in properties(resource.shape) if snake(n) in spoken and n != parameter}


def _birth_value(draft: Draft, kind: Kind, resource: Resource, name: str) -> Assignment | None:
    if name == resource.status_field:
        return Assignment(field=name, source="literal", value=resource.initial_status)
    spoken = snake(name)
    if _BIRTH.match(spoken) or _TOUCHED.match(spoken) or _is_answered_instant(draft, kind, name):
        return moment(name, properties(resource.shape)[name])
    if _POSITION.match(spoken):
        return Assignment(field=name, source="count")
    owner = _OWNERS.get(spoken) if draft.secured else None
    if owner is not None:
        return Assignment(field=name, source="user", value=owner)
    template = _template(draft, resource, name)
    if template is not None:
        return Assignment(field=name, source="template", value=template)
    return _initial_value(kind, name, properties(resource.shape)[name]) or _blank(draft, name)


def _blank(draft: Draft, name: str) -> Assignment | None:
    """What an example shows as none or as nothing yet, at birth, is so at every birth."""
    example = draft.response.example if draft.response else None
    value = example.get(name) if isinstance(example, dict) else None
    is_blank = value is False or (not value and isinstance(value, int | float | list | dict))
    return Assignment(field=name, source="literal", value=value) if is_blank else None


_OWNERS = dict.fromkeys(
    ("user_id", "owner_id", "author_id", "account_id", "created_by_id"), "id"
) | (dict.fromkeys(("author", "owner", "username", "created_by"), "login"))


def _initial_value(kind: Kind, name: str, shape: Shape) -> Assignment | None:
    if kind.model is not None and kind.model.defaults.get(name) is not None:
        return Assignment(field=name, source="literal", value=kind.model.defaults[name])
    if shape.get("default") is not None:
        return Assignment(field=name, source="literal", value=shape["default"])
    if _COUNTED.search(name) and is_type(shape, "integer", "number"):
        return Assignment(field=name, source="literal", value=0)
    return None


def _is_answered_instant(draft: Draft, kind: Kind, name: str) -> bool:
    """A time in the answer to a create is the time of creation, unless it lies ahead.

    `sent_at` lies ahead where something can be sent, and so does what may be null.
    """
    shape = properties(draft.response.shape).get(name) if draft.response else None
    spoken = snake(name)
    if shape is None or not is_instant_name(spoken) or _FUTURE.search(spoken):
        return False
    verbs = {member.verb for member in kind.members if member.rule == "transition"}
    later = {word for verb in verbs for word in targets(verb)}
    may_be_null = isinstance(shape.get("type"), list)
    return not may_be_null and re.sub(r"_(?:at|on|time)$", "", spoken) not in later


def _template(draft: Draft, resource: Resource, name: str) -> str | None:
    """`/builds/{build_id}/status`, or such an address with the example's own id in it.

    The host of an example is not this service's: the path alone is answered.
    """
    example = draft.response.example if draft.response else None
    text = example.get(name) if isinstance(example, dict) else None
    if not isinstance(example, dict) or not isinstance(text, str) or not _LINK.match(name):
        return None
    path, own = _HOST.sub("", text), example.get(resource.id_field)
    if isinstance(own, str) and own:
        path = path.replace(own, f"{{{resource.id_field}}}")
    names = set(re.findall(r"\{(\w+)\}", path))
    return path if names and names <= {resource.id_field, "id"} and path.startswith("/") else None


def _empty(kind: Kind, name: str, shape: Shape) -> Assignment | None:
    """A list or map that every record has starts empty."""
    if name in kind.promised:
        return Assignment(field=name, source="literal", value=zero_of(shape))
    if kind.model is None or name not in kind.model.required:
        return None
    if is_type(shape, "array"):
        return Assignment(field=name, source="literal", value=[])
    if is_type(shape, "object") and "$ref" not in shape:
        return Assignment(field=name, source="literal", value={})
    return None


def zero_of(shape: Shape) -> JsonValue:
    """The least value of a shape, for a field that must be there though nothing says its value."""
    enum = shape.get("enum")
    if isinstance(enum, list) and enum:
        return enum[0]
    if shape.get("format") == "date-time":
        return "1970-01-01T00:00:00Z"
    zeros: tuple[tuple[str, JsonValue], ...] = (
        ("string", ""),
        ("integer", shape.get("minimum") or 0),
        ("number", shape.get("minimum") or 0),
        ("boolean", False),
        ("array", []),
    )
    found = next((value for kind, value in zeros if is_type(shape, kind)), None)
    if is_type(shape, "object"):
        fields = properties(shape)
        return {name: zero_of(fields.get(name, {})) for name in required(shape)}
    return found


def touch(resource: Resource) -> tuple[Assignment, ...]:
    """The times that every change of a record sets."""
    return tuple(
        moment(name, shape)
        for name, shape in properties(resource.shape).items()
        if _TOUCHED.match(snake(name))
    )


def moment(name: str, shape: Shape) -> Assignment:
    """The present time in the form that the field has: text, or seconds since the epoch."""
    if is_type(shape, "integer", "number") and not is_type(shape, "string"):
        kind = "integer" if is_type(shape, "integer") else "number"
        return Assignment(field=name, source="now", value=kind)
    return Assignment(field=name, source="now")


def transition_effect(
    member: Classified, kind: Kind, resource: Resource, sent: Shape | None
) -> Effect | None:
    """The change of status that a verb makes; None if it cannot be told what the verb does."""
    if _computes(member, resource, sent):
        return None
    field, target = _target(member, resource)
    if field is None:
        return _deciding(member, kind, resource, sent)
    states = states_of(kind, resource.status_field) if field == resource.status_field else []
    sources, refused = _limits(member, states, target)
    stamps = tuple(_stamps(member, kind, resource, target))
    body = tuple(
        Assignment(field=name, source="body", value=name)
        for name in properties(sent)
        if name not in {field, resource.id_field} | DECISIONS
    )
    decision = next((n for n in properties(sent) if n in DECISIONS), None)
    return Effect(
        id_parameter=_parameter_of(member),
        parents=(),
        assignments=(*body, Assignment(field=field, source="literal", value=target), *stamps),
        answers=tuple(answers_of(member.draft, resource, str(target))),
        target=target,
        decision=decision,
        rejected=_rejected(states) if decision else None,
        allowed_from=sources,
        refused_from=refused,
    )


_ARITHMETIC = frozenset(
    {"deposit", "withdraw", "transfer", "credit", "debit", "top-up", "topup", "adjust", "increment"}
    | {"decrement", "restock", "add", "subtract", "consume"}
)


def _computes(member: Classified, resource: Resource, sent: Shape | None) -> bool:
    """Whether a number that is sent changes another one: nothing says how, so it is not guessed."""
    given = properties(sent)
    if not any(is_type(shape, "integer", "number") for shape in given.values()):
        return False
    answered = properties(member.draft.response.shape) if member.draft.response else {}
    if resource.status_field in answered:
        return False
    kept = {
        name
        for name, shape in properties(resource.shape).items()
        if is_type(shape, "integer", "number") and name not in {*given, resource.id_field}
    }
    return bool(kept & answered.keys()) or (member.verb in _ARITHMETIC and bool(kept))


def _limits(
    member: Classified, states: list[str], target: JsonValue
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The states that the change may leave, if they are told, and those that it must not."""
    if not isinstance(target, str):
        return (), ()
    draft = member.draft
    stated = stated_sources(draft.text, states, target)
    refused = stated_refusals(draft.text, states)
    if refused or 409 in draft.errors:  # noqa: PLR2004 - HTTP: conflict
        refused = tuple(dict.fromkeys([*refused, target]))
    usual = stated or allowed_from(member.verb, states, target)
    return tuple(state for state in usual if stated or state not in refused), refused


def _parameter_of(member: Classified) -> str | None:
    return member.collection.parameter if member.collection else None


def _deciding(
    member: Classified, kind: Kind, resource: Resource, sent: Shape | None
) -> Effect | None:
    """A body that names the new status itself."""
    field = resource.status_field
    choice = next((n for n in (field, "decision", "new_status") if n in properties(sent)), None)
    if field is None or choice is None or not states_of(kind, field):
        return None
    values = tuple(
        Assignment(
            field=field if name == choice and choice != "decision" else name,
            source="body",
            value=name,
        )
        for name in properties(sent)
    )
    return Effect(
        id_parameter=_parameter_of(member),
        assignments=(*values, *_stamps(member, kind, resource, participle(member.verb))),
        answers=tuple(answers_of(member.draft, resource, "updated")),
    )


def _rejected(states: list[str]) -> str:
    words = ("rejected", "declined", "denied", "cancelled", "canceled")
    return next((word for word in words if word in states), "rejected")


def _target(member: Classified, resource: Resource) -> tuple[str | None, JsonValue]:
    """(field, value) after the verb: the answer's example, a boolean field, or a known state."""
    status = resource.status_field
    answered = _answered_status(member.draft, status)
    if answered is None and status is not None:
        answered = stated_target(member.draft.text, resource_states(resource))
    if answered is not None:
        return status, answered
    switch = _switch(member.verb, resource)
    if switch is not None:
        return switch, True
    if status is None:
        return None, None
    states = resource_states(resource)
    spoken = {snake(state): state for state in states}
    known = [spoken[word] for word in targets(member.verb) if word in spoken]
    similar = alike(member.verb, states)
    if known or similar is not None or not states:
        return status, [*known, similar or participle(member.verb)][0]
    return None, None


def resource_states(resource: Resource) -> list[str]:
    """The states that an enumeration gives; none if any text may stand there."""
    shape = properties(resource.shape).get(resource.status_field or "", {})
    enum = shape.get("enum")
    return [str(state) for state in enum if state is not None] if isinstance(enum, list) else []


def _answered_status(draft: Draft, status: str | None) -> str | None:
    example = draft.response.example if draft.response else None
    value = example.get(status) if isinstance(example, dict) and status else None
    return value if isinstance(value, str) and value not in {"success", "ok"} else None


def _switch(verb: str, resource: Resource) -> str | None:
    """A boolean field that says that the verb was done: `completed`, `is_active`."""
    fields = properties(resource.shape)
    names = [name for word in targets(verb) for name in (word, f"is_{word}")]
    return next((name for name in names if is_type(fields.get(name), "boolean")), None)


def _stamps(
    member: Classified, kind: Kind, resource: Resource, target: JsonValue
) -> Iterator[Assignment]:
    """`captured_at` is now when it is captured; so are the answer's times that nobody sends."""
    makers = kind.of_rule("create", "replace", "update")
    sent = {n for d in makers if d.request for n in properties(d.request.shape)}
    done = {participle(member.verb), str(target)}
    answered = properties(member.draft.response.shape) if member.draft.response else {}
    for name, shape in properties(resource.shape).items():
        spoken = snake(name)
        stem = re.sub(r"_(?:at|on|time)$", "", spoken)
        is_instant = is_instant_name(spoken) or shape.get("format") == "date-time"
        is_new = (
            name in answered and is_instant and not _NOT_NOW.search(spoken) and name not in sent
        )
        if (stem in done and stem != spoken) or is_new or _TOUCHED.match(spoken):
            yield moment(name, shape)


def answers_of(draft: Draft, resource: Resource | None, done: str) -> Iterator[Assignment]:
    """What an answer says beside the record: `success`, `message`, `deleted`, the time."""
    known = set(properties(resource.shape)) if resource else set()
    noun = resource.singular.replace("_", " ") if resource else "request"
    for name, shape in (properties(draft.response.shape) if draft.response else {}).items():
        if name in known - {"message"}:
            continue
        value = _said(name, shape, f"{noun} {done.replace('_', ' ')}", done)
        if snake(name) in TOKEN_NAMES:
            yield Assignment(field=name, source="token")
        elif value is not None:
            yield Assignment(field=name, source="literal", value=value)
        elif name in {"timestamp", f"{done}_at"}:
            yield moment(name, shape)


def _said(name: str, shape: Shape, sentence: str, done: str) -> JsonValue:
    if name in _CONFIRMATIONS and is_type(shape, "boolean"):
        return True
    if name in {"message", "detail"} and is_type(shape, "string"):
        return sentence
    if name in _TOKEN_FACTS:
        return _TOKEN_FACTS[name]
    return done if name in {"status", "result"} and is_type(shape, "string") else None


_TOKEN_FACTS: dict[str, JsonValue] = {"token_type": "bearer", "expires_in": 86_400}


_CONFIRMATIONS = frozenset({"success", "ok", "deleted", "updated", "acknowledged", "received"})
