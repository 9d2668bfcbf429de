"""Endpoints that make accounts and sign people in, and what is theirs because of it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from build_executor.spec.drafts import Draft
from build_executor.spec.naming import snake
from build_executor.spec.places import Collection, normal, segments
from build_executor.spec.shapes import properties

PASSWORD = re.compile(r"^(?:password|passwd|pwd|pass_word|passphrase)$")
TOKEN_NAMES = frozenset({"token", "access_token", "auth_token", "session_token", "jwt"})
LOGIN_NAMES = ("username", "email", "login", "user_name", "handle", "phone", "name", "user_id")
_SIGN_IN = frozenset({"login", "signin", "sign-in", "token", "authenticate", "auth", "sessions"})
_SIGN_UP = frozenset(
    {"register", "signup", "sign-up", "registration", "users", "accounts", "user", "create-user"}
)
_SELF = frozenset({"me", "profile", "whoami", "account", "self"})
_SIGN_OUT = frozenset({"logout", "signout", "sign-out"})
_USERS = ("/users", "/accounts", "/members", "/api/users")


@dataclass(frozen=True, slots=True)
class Accounts:
    """How somebody gets an account and proves to have it."""

    sign_up: Draft
    sign_in: Draft
    users: Collection
    login_field: str
    password_field: str

    def rule_of(self, draft: Draft) -> str | None:
        """The rule of an endpoint that concerns the account itself."""
        last = (segments(draft.path) or [""])[-1]
        if draft is self.sign_up:
            return "create"
        if draft is self.sign_in:
            return "login"
        if draft.method == "POST" and last in _SIGN_OUT:
            return "logout"
        is_self = draft.method == "GET" and last in _SELF and "{" not in draft.path
        return "me" if is_self and (draft.secured or not draft.exact) else None


_ASKS = re.compile(
    r"requires? (?:an? )?(?:valid )?(?:auth|login|log-?in|token|bearer|jwt|sign)|login required"
    r"|auth(?:entication|orization)? (?:is )?(?:required|needed)|authenticated|authorization header"
    r"|needs? (?:an? )?(?:valid )?(?:token|auth|bearer|jwt|login)|logged[- ]in|current user"
    r"|\bmy\b|\b(?:your|their) own\b"
)
_PUBLIC = re.compile(r"\bpublic\b|no auth|without (?:auth|token|login)|auth(?:entication)?: none")
_ALL = re.compile(
    r"\b(?:all|every|each|any)\b[^.\n]*\b(?:endpoint|route|request|operation|call|path)s?\b[^.\n]*"
    r"\b(?:auth\w*|token|bearer|jwt|logged[- ]in|sign(?:ed)? in|401)\b"
    r"|\b(?:users?|they|callers?|everyone|each user)\b[^.\n]*\b(?:only|just)\b[^.\n]*\bown\b"
    r"|\bown\b[^.\n]*\bonly\b",
    re.IGNORECASE,
)


def demand_tokens(drafts: Iterable[Draft], accounts: Accounts | None, texts: Iterable[str]) -> None:
    """Marks the endpoints that ask for a token: by their own text, or all by the document's."""
    if accounts is None:
        return
    everywhere = any(_ALL.search(text) for text in texts)
    for draft in drafts:
        if draft.exact or draft is accounts.sign_up or draft is accounts.sign_in:
            continue
        is_self = accounts.rule_of(draft) in {"me", "logout"}
        asked = everywhere or is_self or bool(_ASKS.search(draft.text))
        draft.secured = draft.secured or (asked and not _PUBLIC.search(draft.text))


def sent_fields(draft: Draft) -> list[str]:
    """The names of what a request carries."""
    return list(properties(draft.request.shape)) if draft.request else draft.inputs


def find_accounts(
    drafts: Iterable[Draft], collections: Mapping[str, Collection]
) -> Accounts | None:
    """The accounts of a service; None unless one can both be made and be used."""
    with_password = [
        d for d in drafts if d.method == "POST" and any(map(_is_password, sent_fields(d)))
    ]
    sign_in = next((d for d in with_password if _last(d) in _SIGN_IN), None)
    sign_up = next((d for d in with_password if d is not sign_in and _last(d) in _SIGN_UP), None)
    if sign_in is None or sign_up is None:
        return None
    login = next((n for n in sent_fields(sign_in) if snake(n) in LOGIN_NAMES), None)
    password = next(n for n in sent_fields(sign_in) if _is_password(n))
    if sign_in.exact and not _token_names(sign_in):
        return None
    if login is None or not {login, password} <= set(sent_fields(sign_up)):
        return None
    return Accounts(sign_up, sign_in, _users(sign_up, collections), login, password)


def _token_names(draft: Draft) -> list[str]:
    answer = properties(draft.response.shape) if draft.response else {}
    return [name for name in answer if snake(name) in TOKEN_NAMES]


def _is_password(name: str) -> bool:
    return bool(PASSWORD.match(snake(name)))


def _last(draft: Draft) -> str:
    return (segments(draft.path) or [""])[-1]


def _users(sign_up: Draft, collections: Mapping[str, Collection]) -> Collection:
    own = collections.get(normal(sign_up.path))
    if own is not None and _last(sign_up) in {"users", "accounts"}:
        return own
    known = next((collections[path] for path in _USERS if path in collections), None)
    return known or Collection("/users", None)
