"""The endpoints that every service of the mesh has."""

from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

MESSAGE: dict[str, Any] = {
    "trace_id": "trace-1",
    "source": "somebody",
    "target": "payment-processor",
    "message_type": "event",
    "payload": {"event": "something_happened"},
    "timestamp": "2026-03-02T09:00:00Z",
}


def test_health_says_who_and_how(client: TestClient) -> None:
    health = client.get("/health").json()

    assert health["status"] == "active"
    assert health["service"] == "payment-processor"
    assert health["version"] == "1.0.0"
    assert health["release"] == "unreleased"
    assert datetime.fromisoformat(health["timestamp"]).tzinfo is not None


def test_capabilities_list_every_operation(client: TestClient) -> None:
    capabilities = client.get("/capabilities").json()

    assert capabilities["udc_version"] == "1.0"
    assert len(capabilities["supported_operations"]) == 17
    assert isinstance(capabilities["features"], list)


def test_state_counts_requests(client: TestClient) -> None:
    before = client.get("/state").json()["requests_total"]

    assert client.get("/state").json()["requests_total"] == before + 1


def test_dependencies_that_are_not_configured_are_unavailable(client: TestClient) -> None:
    dependencies = client.get("/dependencies").json()

    found = dependencies["required"] + dependencies["optional"]
    assert all(item["status"] == "unavailable" for item in found)
    assert dependencies["missing"] == [item["name"] for item in dependencies["required"]]


def test_a_message_is_acknowledged(client: TestClient) -> None:
    answer = client.post("/message", json=MESSAGE)

    assert answer.status_code == 200
    assert answer.json()["received"] is True
    assert answer.json()["trace_id"] == "trace-1"
    assert answer.json()["result"] == "success"


def test_a_message_in_the_older_form_is_acknowledged(client: TestClient) -> None:
    older = {"from_service": "somebody", "message_type": "status"}

    assert client.post("/message", json=older).json()["received"] is True


@pytest.mark.parametrize("name", ["trace_id", "source", "message_type", "payload", "timestamp"])
def test_a_message_without_a_field_is_refused(client: TestClient, name: str) -> None:
    message = {key: value for key, value in MESSAGE.items() if key != name}

    assert client.post("/message", json=message).status_code == 422


def test_without_a_registry_nothing_is_sent(client: TestClient) -> None:
    message = {"target": "somebody", "message_type": "query", "payload": {}}

    answer = client.post("/send", json=message)

    assert answer.status_code == 200
    assert answer.json()["sent"] is False


@pytest.mark.parametrize("path", ["/message", "/send"])
def test_the_message_endpoints_describe_themselves(client: TestClient, path: str) -> None:
    assert client.get(path).json()["path"] == path
