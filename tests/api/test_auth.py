from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from pydantic import SecretStr
from starlette.requests import HTTPConnection

from api.auth import ANYBODY_HERE, Scope, identify, issue_token, read_token
from api.errors import ApiError
from build_executor.settings import Settings

KEY = "k" * 32
NOW = datetime.now(UTC)
GOOD = {
    "sub": "factory",
    "iss": "build-executor",
    "aud": "build-executor",
    "exp": NOW + timedelta(hours=1),
    "scope": "read build",
}
OPEN = Settings(build_executor_home=Path("unused"), jwt_secret=None)
CLOSED = OPEN.model_copy(update={"jwt_secret": SecretStr(KEY)})


def token(key: str = KEY, algorithm: str | None = "HS256", **claims: Any) -> str:  # noqa: ANN401 - claims of any kind
    filled = {name: value for name, value in {**GOOD, **claims}.items() if value is not None}
    return jwt.encode(filled, key, algorithm=algorithm)


def connection(*, subprotocols: tuple[str, ...] = (), **headers: str) -> HTTPConnection:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "websocket", "headers": raw, "subprotocols": subprotocols})


BAD_TOKENS = {
    "no expiry": {"exp": None},
    "expired": {"exp": NOW - timedelta(minutes=1)},
    "valid for a year": {"exp": NOW + timedelta(days=365)},
    "expiry beyond time": {"exp": 10**20},
    "no issuer": {"iss": None},
    "another issuer": {"iss": "build-executor-2"},
    "no audience": {"aud": None},
    "another audience": {"aud": "registry"},
    "no subject": {"sub": None},
    "not yet valid": {"nbf": NOW + timedelta(hours=1)},
    "another key": {"key": "x" * 32},
    "another algorithm": {"algorithm": "HS512"},
}


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("change", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
def test_a_bad_token_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as refused:
        read_token(token(**change), CLOSED)

    assert refused.value.status == 401


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é.é.é", "a" * 10_000])
def test_no_token_at_all_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_token(text, CLOSED)

    assert refused.value.status == 401


def test_an_unsigned_token_is_refused() -> None:
    with pytest.raises(ApiError):
        read_token(token(key="", algorithm="none"), CLOSED)


@pytest.mark.parametrize("scope", ["read build", ["read", "build"], ["read", "build", "root"]])
def test_scopes_come_as_words_or_as_a_list(scope: object) -> None:
    caller = read_token(token(scope=scope), CLOSED)

    assert caller.scopes == {Scope.READ, Scope.BUILD}
    assert caller.subject == "factory"


def test_an_issued_token_is_accepted_and_lives_a_day_at_most() -> None:
    issued = issue_token(CLOSED, "me", frozenset({Scope.READ}), timedelta(days=30), NOW)

    caller = read_token(issued, CLOSED)

    assert caller.scopes == {Scope.READ}
    assert caller.expires_at is not None
    assert caller.expires_at - NOW < timedelta(hours=24, seconds=1)


def test_without_a_key_no_token_is_issued() -> None:
    with pytest.raises(ValueError, match="JWT_SECRET"):
        issue_token(OPEN, "me", frozenset(), timedelta(days=1), NOW)


def test_without_a_key_everybody_on_this_machine_may_do_everything() -> None:
    assert identify(connection(host="127.0.0.1:8211"), OPEN) == ANYBODY_HERE
    assert identify(connection(host="[::1]:8211"), OPEN) == ANYBODY_HERE
    assert identify(connection(host="localhost"), OPEN) == ANYBODY_HERE


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1:8211"])
def test_without_a_key_other_names_are_refused(host: str) -> None:
    with pytest.raises(ApiError) as refused:
        identify(connection(host=host), OPEN)

    assert refused.value.status == 403


@pytest.mark.parametrize("settings", [OPEN, CLOSED])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1"])
def test_pages_from_elsewhere_are_refused(settings: Settings, origin: str) -> None:
    with pytest.raises(ApiError) as refused:
        identify(connection(host="localhost:8211", origin=origin), settings)

    assert refused.value.status == 403


def test_a_token_comes_in_a_header_or_in_a_subprotocol() -> None:
    by_header = connection(host="x", authorization=f"Bearer {token()}")
    by_protocol = connection(host="x", subprotocols=("build", f"bearer.{token()}"))

    assert identify(by_header, CLOSED) == identify(by_protocol, CLOSED)


@pytest.mark.parametrize("header", ["", "Bearer", "Basic eDp5", "bearer "])
def test_with_a_key_a_token_is_needed(header: str) -> None:
    with pytest.raises(ApiError) as refused:
        identify(connection(host="x", authorization=header), CLOSED)

    assert refused.value.status == 401
