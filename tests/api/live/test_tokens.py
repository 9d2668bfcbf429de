from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from api.auth import Scope, issue_token
from build_executor.settings import Settings
from tests.api.live.running import Client, running_adapter, settings_for
from tests.prefect_server import PrefectServer

pytestmark = pytest.mark.full

UNKNOWN = "00000000-0000-4000-8000-000000000000"
ENDPOINTS = [
    ("GET", "/capabilities", Scope.READ),
    ("GET", "/state", Scope.READ),
    ("GET", "/dependencies", Scope.READ),
    ("GET", "/message", Scope.READ),
    ("POST", "/message", Scope.READ),
    ("GET", "/send", Scope.READ),
    ("POST", "/send", Scope.READ),
    ("GET", "/builds", Scope.READ),
    ("GET", f"/builds/{UNKNOWN}/status", Scope.READ),
    ("GET", f"/builds/{UNKNOWN}/artifacts", Scope.READ),
    ("GET", f"/builds/{UNKNOWN}/artifacts/build.json", Scope.READ),
    ("POST", "/builds/submit", Scope.BUILD),
    ("POST", f"/builds/{UNKNOWN}/cancel", Scope.BUILD),
    ("POST", f"/builds/{UNKNOWN}/rollback", Scope.BUILD),
    ("POST", f"/builds/{UNKNOWN}/approve", Scope.APPROVE),
]


@pytest.fixture(scope="module")
def settings(home: Path, specs: Path) -> Settings:
    return settings_for(home, specs).model_copy(update={"jwt_secret": SecretStr("k" * 32)})


@pytest.fixture(scope="module")
def closed(settings: Settings, pipeline: PrefectServer) -> Iterator[Client]:
    """An adapter that asks for tokens."""
    with running_adapter(settings, pipeline.api_url) as running:
        yield running


def bearer(settings: Settings, *scopes: Scope, seconds: float = 3600) -> dict[str, str]:
    life = timedelta(seconds=seconds)
    token = issue_token(settings, "tester", frozenset(scopes), life, datetime.now(UTC))
    return {"authorization": f"Bearer {token}"}


def read_on(stream: Connection) -> None:
    while True:
        stream.recv(10)


def test_health_takes_no_token(closed: Client) -> None:
    assert closed.http.get("/health").status_code == 200


@pytest.mark.parametrize(("method", "path", "scope"), ENDPOINTS)
def test_every_other_endpoint_takes_a_token_with_its_scope(
    closed: Client, settings: Settings, method: str, path: str, scope: Scope
) -> None:
    others = [other for other in Scope if other is not scope]

    without = closed.http.request(method, path)
    lacking = closed.http.request(method, path, headers=bearer(settings, *others))
    having = closed.http.request(method, path, headers=bearer(settings, scope))

    assert (without.status_code, without.json()["error"]["code"]) == (401, "UNAUTHORIZED")
    assert (lacking.status_code, lacking.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert having.status_code in {200, 404, 422}


def test_a_message_needs_the_scope_of_its_action(closed: Client, settings: Settings) -> None:
    body = {
        "trace_id": "t",
        "source": "s",
        "message_type": "command",
        "payload": {"action": "build", "spec_path": "x"},
        "timestamp": datetime.now(UTC).isoformat(),
    }

    answer = closed.http.post("/message", json=body, headers=bearer(settings, Scope.READ))

    assert answer.status_code == 403


def test_a_stream_takes_a_token_and_ends_with_it(
    closed: Client, settings: Settings, spec: Path
) -> None:
    submitted = closed.http.post(
        "/builds/submit",
        json={"spec_path": str(spec), "metadata": {"approval": True}},
        headers=bearer(settings, Scope.BUILD),
    ).json()
    token = bearer(settings, Scope.READ, seconds=2)["authorization"].removeprefix("Bearer ")

    with (
        connect(submitted["stream_url"], subprotocols=[f"bearer.{token}"]) as stream,  # type: ignore[list-item]
        pytest.raises(ConnectionClosed) as ended,
    ):
        read_on(stream)

    closed.http.post(
        f"/builds/{submitted['build_id']}/cancel", headers=bearer(settings, Scope.BUILD)
    )
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 4401
