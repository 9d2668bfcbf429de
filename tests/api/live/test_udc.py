import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.api.live.running import Client
from tests.fixtures.shapes import EXAMPLES, missing

pytestmark = pytest.mark.full


@pytest.mark.parametrize("path", ["/health", "/capabilities", "/state", "/dependencies"])
def test_every_specified_field_is_there(client: Client, path: str) -> None:
    example = EXAMPLES[f"GET {path}"][0]
    if path == "/dependencies":  # none is configured in this test, so none has an address
        example = {**example, "required": [], "optional": []}

    answer = client.http.get(path)

    assert answer.status_code == 200
    assert missing(example, answer.json()) == []


def test_health_is_active_while_prefect_answers(client: Client) -> None:
    body = client.http.get("/health").json()

    assert body["status"] == "active"
    assert body["checks"] == {"prefect": "ok"}
    assert body["claude_api"] == "not_configured"


def test_capabilities_list_the_endpoints_that_exist(client: Client) -> None:
    operations = client.http.get("/capabilities").json()["supported_operations"]

    assert {"POST /builds/submit", "GET /builds/{build_id}/status", "GET /health"} <= set(
        operations
    )


def test_state_counts_requests_and_builds(client: Client, spec: Path) -> None:
    client.ended(client.submit(spec))
    before = client.http.get("/state").json()

    after = client.http.get("/state").json()

    assert after["requests_total"] == before["requests_total"] + 1
    assert after["completed_today"] >= 1
    assert after["memory_mb"] > 1


def test_dependencies_that_are_not_configured_are_not_invented(client: Client) -> None:
    body = client.http.get("/dependencies").json()

    found = {item["name"]: item["status"] for item in body["required"] + body["optional"]}
    assert found == {
        "registry": "available",
        "verifier": "unavailable",
        "prefect": "available",
        "orchestrator": "unavailable",
        "sovereign-factory": "unavailable",
    }
    assert body["missing"] == ["verifier"]


@pytest.mark.parametrize("path", ["/message", "/send"])
def test_checkers_that_get_what_takes_posts_are_answered(client: Client, path: str) -> None:
    assert client.http.get(path).status_code == 200


def message(spec: Path, **fields: object) -> dict[str, Any]:
    example = EXAMPLES["POST /message"][0]
    payload = {"action": "build", "spec_path": str(spec)}
    return {**example, "trace_id": str(uuid.uuid4()), "payload": payload, **fields}


def test_a_build_command_starts_one_build_however_often_it_comes(
    client: Client, spec: Path
) -> None:
    command = message(spec)

    first, again = (client.http.post("/message", json=command) for _ in range(2))

    assert first.status_code == 200
    assert first.json()["received"] is True
    assert first.json()["result"] == "queued"
    assert first.json()["trace_id"] == command["trace_id"]
    assert first.json()["build_id"] == again.json()["build_id"]
    assert client.ended(first.json()["build_id"])["status"] == "completed"


def test_an_event_is_just_received(client: Client, spec: Path) -> None:
    answer = client.http.post("/message", json=message(spec, message_type="event", payload={}))

    assert answer.status_code == 200
    assert answer.json()["result"] == "success"


def test_older_forms_of_message_are_understood(client: Client) -> None:
    legacy = {"from_service": "old", "message_type": "data", "payload": {}}
    numbered = {**EXAMPLES["POST /message"][0], "source": 7, "message_type": "status"}

    answers = [client.http.post("/message", json=body) for body in (legacy, numbered)]

    assert [answer.status_code for answer in answers] == [200, 200]


def test_status_and_cancel_are_commands_too(client: Client, spec: Path) -> None:
    build_id = client.submit(spec)
    client.ended(build_id)
    ask = {"action": "status", "build_id": build_id}
    cancel = {"action": "cancel", "build_id": build_id}

    status = client.http.post("/message", json=message(spec, payload=ask))
    refused = client.http.post("/message", json=message(spec, payload=cancel))

    assert status.json()["build"]["status"] == "completed"
    assert refused.status_code == 409


@pytest.mark.parametrize(
    "change",
    [
        {"message_type": "order"},
        {"trace_id": None},
        {"source": None},
        {"payload": {"action": "explode"}},
        {"payload": {"action": ["build"]}},
        {"payload": {}},
        {"payload": {"action": "build"}},
        {"payload": {"action": "build", "spec_path": "/etc/passwd"}},
        {"payload": {"action": "status"}},
        {"target": "registry"},
        {"timestamp": "2999-01-01T00:00:00Z"},
        {"timestamp": "yesterday"},
    ],
)
def test_a_message_that_makes_no_sense_is_refused(
    client: Client, spec: Path, change: dict[str, object]
) -> None:
    answer = client.http.post("/message", json=message(spec, **change))

    assert answer.status_code == 422
    assert answer.json()["status"] == "error"


def test_nothing_is_sent_without_a_registry(client: Client) -> None:
    body = {"target": "verifier", "message_type": "event", "payload": {}}

    answer = client.http.post("/send", json=body)

    assert answer.status_code == 200
    assert (answer.json()["sent"], answer.json()["result"]) == (False, "error")
