"""What a verb does to a record: which state it sets, from which states, with which times."""

import re
from collections.abc import Iterator

from pydantic import JsonValue

from build_executor.spec.confirmations import answers_of
from build_executor.spec.contract import Assignment, Effect, Resource, Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.instants import TOUCHED, moment
from build_executor.spec.kinds import DECISIONS, Kind
from build_executor.spec.naming import snake
from build_executor.spec.shapes import is_instant_name, is_type, properties
from build_executor.spec.situation import Classified
from build_executor.spec.states import states_of
from build_executor.spec.verbs import (
    alike,
    allowed_from,
    participle,
    stated_refusals,
    stated_sources,
    stated_target,
    targets,
)

_NOT_NOW = re.compile(
    r"estimat|expir|due|deadline|scheduled|until|next|creat|submitted|start|regist"
)


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
        if (stem in done and stem != spoken) or is_new or TOUCHED.match(spoken):
            yield moment(name, shape)
