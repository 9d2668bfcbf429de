"""Who may do what: signed tokens with scopes, or this machine only.

With `JWT_SECRET` set, everything but `GET /health` takes a token (HS256 with `sub`, `iss`, `aud`,
`exp`). Without it the service listens on loopback only; then a request must also have come to a
loopback name and from no foreign page, because a browser on this machine can reach loopback too.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import jwt
from pydantic import BaseModel, ConfigDict
from starlette.requests import HTTPConnection

from api.errors import ApiError
from build_executor.settings import Settings

LONGEST_TOKEN = 8192
LONGEST_LIFE = timedelta(hours=24)
SUBPROTOCOL = "bearer."
_ALGORITHM = "HS256"
_LEEWAY_SECONDS = 5
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Scope(StrEnum):
    """What a token allows; none includes another."""

    READ = "read"
    BUILD = "build"
    APPROVE = "approve"


class Caller(BaseModel):
    """Who asks; `expires_at` ends a stream that outlives its token."""

    model_config = ConfigDict(frozen=True)

    subject: str
    scopes: frozenset[Scope]
    expires_at: datetime | None = None


ANYBODY_HERE = Caller(subject="local", scopes=frozenset(Scope))


def requires(scope: Scope) -> Callable[[HTTPConnection], Awaitable[Caller]]:
    """A dependency that hands on the caller, or answers 401 or 403 before anything is done."""

    async def caller(connection: HTTPConnection) -> Caller:
        who = identify(connection, connection.app.state.adapter.settings)
        if scope not in who.scopes:
            raise ApiError(403, "FORBIDDEN", f"the token lacks the scope `{scope}`")
        return who

    return caller


def identify(connection: HTTPConnection, settings: Settings) -> Caller:
    """The caller of a request or of a WebSocket that is not accepted yet; ApiError 401 or 403."""
    _refuse_foreign_pages(connection)
    if settings.jwt_secret is None:
        _refuse_foreign_names(connection)
        return ANYBODY_HERE
    token = bearer_token(connection)
    if token is None:
        raise unauthorized("a bearer token is needed")
    return read_token(token, settings)


def bearer_token(connection: HTTPConnection) -> str | None:
    """The token of the Authorization header or, on a WebSocket, a `bearer.<token>` subprotocol."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    offered = connection.scope.get("subprotocols") or ()
    tokens = (name.removeprefix(SUBPROTOCOL) for name in offered if name.startswith(SUBPROTOCOL))
    return next(tokens, None)


def read_token(token: str, settings: Settings) -> Caller:
    """The caller that a token names; ApiError 401 that never says which check failed."""
    if settings.jwt_secret is None or len(token) > LONGEST_TOKEN:
        raise unauthorized("the token is not valid")
    try:
        claims = jwt.decode(
            token,
            settings.jwt_secret.get_secret_value(),
            algorithms=[_ALGORITHM],
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        return _caller(claims)
    except (jwt.InvalidTokenError, ValueError, OverflowError) as error:
        raise unauthorized("the token is not valid") from error


def issue_token(
    settings: Settings, subject: str, scopes: frozenset[Scope], life: timedelta, now: datetime
) -> str:
    """A token for `subject`; for operators (`python -m api token`) and tests."""
    if settings.jwt_secret is None:
        raise ValueError("JWT_SECRET is not set")
    claims = {
        "sub": subject,
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "iat": now,
        "exp": now + min(life, LONGEST_LIFE),
        "scope": " ".join(sorted(scopes)),
    }
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), algorithm=_ALGORITHM)


def unauthorized(message: str) -> ApiError:
    """401."""
    return ApiError(401, "UNAUTHORIZED", message)


def _caller(claims: dict[str, Any]) -> Caller:
    expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    if expires_at - datetime.now(UTC) > LONGEST_LIFE + timedelta(seconds=_LEEWAY_SECONDS):
        raise ValueError("valid for too long")
    named = claims.get("scope", "")
    words = named.split() if isinstance(named, str) else [str(word) for word in named]
    known = frozenset(Scope(word) for word in words if word in set(Scope))
    return Caller(subject=str(claims["sub"]), scopes=known, expires_at=expires_at)


def _refuse_foreign_pages(connection: HTTPConnection) -> None:
    """A browser says which page asks; only pages from this very address may."""
    origin = connection.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != connection.headers.get("host", ""):
        raise ApiError(403, "FORBIDDEN", "requests from other origins are refused")


def _refuse_foreign_names(connection: HTTPConnection) -> None:
    """A foreign name that resolves to loopback is how a web page reaches a local service."""
    host = urlsplit("//" + connection.headers.get("host", "")).hostname
    if host not in _LOOPBACK:
        raise ApiError(403, "FORBIDDEN", "without JWT_SECRET only loopback names are served")
