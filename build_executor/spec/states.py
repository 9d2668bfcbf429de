"""The states of a record: where the status is kept, what it starts as, what it can become."""

import re
from collections.abc import Sequence
from typing import cast

from pydantic import JsonValue

from build_executor.spec.contract import Shape
from build_executor.spec.kinds import Kind, examples_of
from build_executor.spec.naming import singular
from build_executor.spec.shapes import is_type
from build_executor.spec.verbs import STATUS_NAMES, changes_state, participle, targets

_PENDING = re.compile(r"pending|queued|draft|open|created|new|todo|submitted|scheduled|registered")


def status_field_of(kind: Kind) -> str | None:
    """The field that holds the state, if one does."""
    names = [*STATUS_NAMES, _own_status(kind)]
    return next((n for n in names if n in kind.fields and _is_text(kind.fields[n])), None)


def lacks_status(kind: Kind) -> bool:
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
    for example in examples_of(kind):
        value = example.get(status)
        if isinstance(value, str) and not enum:
            states.append(value)
    if not enum:
        states.extend(participle(m.verb) for m in kind.members if m.rule == "transition" and m.verb)
    return list(dict.fromkeys(states))


def initial_status_of(kind: Kind, status: str | None, states: Sequence[str]) -> JsonValue:
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


def soft_delete_of(kind: Kind, status: str | None) -> str | None:
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
