"""What verbs in a path do to a record's status, and which states end its life."""

import re

_PARTICIPLES = {
    "pay": "paid",
    "send": "sent",
    "hold": "held",
    "begin": "begun",
    "put": "put",
    "set": "set",
    "read": "read",
    "withdraw": "withdrawn",
    "take": "taken",
    "give": "given",
    "lose": "lost",
    "win": "won",
    "freeze": "frozen",
    "unfreeze": "active",
    "run": "running",
    "start": "started",
    "ship": "shipped",
    "stop": "stopped",
    "submit": "submitted",
    "cancel": "cancelled",
    "rollback": "rolled_back",
    "ban": "banned",
    "plan": "planned",
    "drop": "dropped",
    "check-in": "checked_in",
    "checkin": "checked_in",
    "check-out": "checked_out",
    "checkout": "checked_out",
}
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "activate": ("active", "activated", "enabled"),
    "approve": ("approved", "accepted", "running"),
    "accept": ("accepted", "approved"),
    "cancel": ("cancelled", "canceled"),
    "close": ("closed", "done", "resolved"),
    "complete": ("completed", "complete", "done", "finished"),
    "confirm": ("confirmed",),
    "deactivate": ("inactive", "deactivated", "disabled"),
    "deliver": ("delivered",),
    "disable": ("disabled", "inactive"),
    "enable": ("enabled", "active"),
    "fail": ("failed", "error"),
    "finish": ("finished", "completed", "done"),
    "reject": ("rejected", "declined", "denied"),
    "decline": ("declined", "rejected"),
    "reopen": ("open", "reopened", "active", "pending"),
    "restart": ("running", "active", "queued"),
    "restore": ("active", "restored", "open"),
    "resume": ("active", "running", "resumed", "in_progress"),
    "retry": ("queued", "pending", "retrying", "running"),
    "return": ("returned", "available"),
    "start": ("in_progress", "running", "started", "active", "doing", "ongoing"),
    "stop": ("stopped", "inactive"),
    "pause": ("paused",),
    "suspend": ("suspended", "inactive"),
    "undo": ("pending", "open"),
    "verify": ("verified",),
}
_FROM: dict[str, frozenset[str]] = {
    "refund": frozenset(
        {"captured", "paid", "completed", "succeeded", "settled", "partially_refunded"}
    ),
    "return": frozenset({"borrowed", "loaned", "active", "overdue", "delivered", "checked_out"}),
    "resume": frozenset({"paused", "suspended", "stopped", "on_hold"}),
    "reopen": frozenset({"closed", "resolved", "done", "completed", "cancelled", "rejected"}),
    "retry": frozenset({"failed", "error", "cancelled", "rejected", "timed_out", "timeout"}),
    "restore": frozenset({"deleted", "archived", "cancelled"}),
    "capture": frozenset({"authorized", "authorised", "pending", "created", "requires_capture"}),
    "deliver": frozenset({"shipped", "in_transit", "out_for_delivery"}),
}
_FROM_ANY = frozenset({"archive", "restore", "reopen", "retry", "restart"})
_ENDS = frozenset(
    [
        "completed",
        "complete",
        "cancelled",
        "canceled",
        "rejected",
        "refunded",
        "closed",
        "done",
        "expired",
        "archived",
        "deleted",
        "delivered",
        "voided",
        "declined",
        "denied",
        "withdrawn",
        "revoked",
        "resolved",
        "finished",
        "failed",
    ]
)
STATUS_NAMES = ("status", "state")
ENTRY_VERBS = frozenset({"submit", "create", "add", "register", "new", "enqueue", "ingest"})


def participle(verb: str) -> str:
    """`capture` -> `captured`; what a record is after the verb was done to it."""
    verb = verb.lower()
    if verb in _PARTICIPLES:
        return _PARTICIPLES[verb]
    word = verb.replace("-", "_")
    if word.endswith("e"):
        return f"{word}d"
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ied"
    return f"{word}ed"


def targets(verb: str) -> tuple[str, ...]:
    """The states that the verb may lead to, the likeliest first."""
    return tuple(dict.fromkeys([*_SYNONYMS.get(verb, ()), participle(verb)]))


def is_known_verb(verb: str) -> bool:
    """Whether the word is a verb that changes a status."""
    return verb in _SYNONYMS or verb in _PARTICIPLES or verb in _FROM or verb in _OTHER_VERBS


def changes_state(verb: str) -> bool:
    """Whether the verb surely leaves a record in another state, and not only does something."""
    return verb in _SYNONYMS or verb in _FROM or verb in _CHANGING


def terminal_states(states: list[str]) -> tuple[str, ...]:
    """Those of the states that end a record's life; what can still be closed has not ended."""
    closing = {"closed", "archived"} & {state.lower() for state in states}
    ends = _ENDS - {"resolved", "done"} if closing else _ENDS
    return tuple(state for state in states if state.lower() in ends)


def allowed_from(verb: str, states: list[str], target: str) -> tuple[str, ...]:
    """The states that the verb may leave: the usual ones if the SPEC has them, else all living."""
    usual = _FROM.get(verb, frozenset())
    known = [state for state in states if state in usual]
    if known:
        return tuple(known)
    if verb in _FROM_ANY:
        return tuple(state for state in states if state != target)
    return ()


def stated_refusals(text: str, states: list[str]) -> tuple[str, ...]:
    """The states that `409 if already paid` or `a void one cannot be paid` forbids."""
    found: list[str] = []
    for sentence in re.split(r"[.;()\n]", text.lower()):
        forbids = re.search(r"\balready\b|\b409\b|\bcan(?:not|'t| not) be\b|\bconflict\b", sentence)
        if not forbids or re.search(r"\b(?:only|unless|otherwise|must|not yet)\b", sentence):
            continue
        if re.search(r"\b(?:if|when|is|are) not\b", sentence):
            continue
        found.extend(state for state in states if _names(sentence, state))
    return tuple(dict.fromkeys(found))


def _names(sentence: str, state: str) -> bool:
    words = re.escape(state.lower()).replace("_", "[ _-]")
    return bool(re.search(rf"\b(?<!be ){words}s?\b", sentence))


def stated_target(text: str, states: list[str]) -> str | None:
    """The state that `status becomes picked_up` or `marks it as paid` names."""
    pattern = (
        r"(?:status|state)`?\s+(?:becomes|is(?: now)? set to|changes to|turns|to|->|\u2192|=)\s+"
        r"[`\"']?([a-z][\w-]*)|\bmark(?:s|ed)?\s+(?:\w+\s+){0,3}as\s+[`\"']?([a-z][\w-]*)"
    )
    spoken = {state.lower(): state for state in states}
    for first, second in re.findall(pattern, text.lower()):
        if (first or second) in spoken:
            return spoken[first or second]
    return None


def alike(verb: str, states: list[str]) -> str | None:
    """`pickup` leads to `picked_up`: the state that is the verb with an ending inside."""
    word = re.sub(r"[-_]", "", verb.lower())
    for state in states:
        if word == re.sub(r"ed(?=_|$)", "", state.lower()).replace("_", ""):
            return state
    return None


def stated_sources(text: str, states: list[str], target: str) -> tuple[str, ...]:
    """The states that a sentence such as `only pending or held ones can be …` allows."""
    for pattern in (
        r"\bonly\b[^.;]*",
        r"\bmust be\b[^.;]*",
        r"\b(?:if|unless|when)\s+(?:\w+\s+){0,3}?(?:is |are )?(?:not|unless)\b[^.;]*",
        r"\bunless\b[^.;]*",
        r"\bfrom\b[^.;]*",
    ):
        for sentence in re.findall(pattern, text.lower()):
            found = [s for s in states if re.search(rf"\b{re.escape(s.lower())}s?\b", sentence)]
            found = [state for state in found if state != target]
            if found:
                return tuple(found)
    return ()


_OTHER_VERBS = frozenset(
    [
        "acknowledge",
        "ack",
        "archive",
        "assign",
        "authorize",
        "block",
        "capture",
        "claim",
        "commit",
        "dismiss",
        "dispatch",
        "escalate",
        "expire",
        "flag",
        "ignore",
        "lock",
        "mark",
        "merge",
        "process",
        "publish",
        "refund",
        "release",
        "renew",
        "request",
        "reserve",
        "resolve",
        "revoke",
        "rollback",
        "schedule",
        "settle",
        "sign",
        "skip",
        "terminate",
        "trigger",
        "unblock",
        "unlock",
        "unpublish",
        "void",
        "fulfill",
        "ship",
        "deposit",
        "withdraw",
        "execute",
        "apply",
        "borrow",
        "checkin",
        "checkout",
        "check-in",
        "check-out",
        "favorite",
        "star",
        "like",
        "snooze",
        "mute",
        "open",
        "hide",
        "show",
        "unarchive",
        "respond",
    ]
)
_CHANGING = frozenset(
    {"acknowledge", "archive", "assign", "claim", "dismiss", "escalate", "expire", "publish"}
    | {"release", "reserve", "resolve", "respond", "revoke", "settle", "terminate", "void"}
)
