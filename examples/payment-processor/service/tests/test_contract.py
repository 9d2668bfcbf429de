"""What the specification demands, asked from outside: written from the contract alone."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

DOCUMENTED: list[tuple[str, str, int]] = [
    ("post", "/payments", 201),
    ("get", "/payments", 200),
    ("get", "/payments/{payment_id}", 200),
    ("patch", "/payments/{payment_id}", 200),
    ("post", "/payments/{payment_id}/capture", 200),
    ("post", "/payments/{payment_id}/cancel", 200),
    ("post", "/payments/{payment_id}/refund", 200),
    ("post", "/payments/{payment_id}/notes", 201),
    ("get", "/payments/{payment_id}/notes", 200),
    ("delete", "/payments/{payment_id}", 204),
    ("get", "/payments/stats", 200),
]
UNKNOWN: list[tuple[str, str, Any]] = [
    ("GET", "/payments/no-such-thing", None),
    (
        "PATCH",
        "/payments/no-such-thing",
        {"description": "description 1", "metadata": {"key": "value 1"}},
    ),
    ("POST", "/payments/no-such-thing/capture", None),
    ("POST", "/payments/no-such-thing/cancel", {"reason": "reason 1"}),
    ("POST", "/payments/no-such-thing/refund", None),
    ("POST", "/payments/no-such-thing/notes", {"author": "author 1", "text": "text 1"}),
    ("GET", "/payments/no-such-thing/notes", None),
    ("DELETE", "/payments/no-such-thing", None),
]
WITH_BODY: list[tuple[str, str]] = [
    ("POST", "/payments"),
    ("PATCH", "/payments/1"),
    ("POST", "/payments/1/cancel"),
    ("POST", "/payments/1/notes"),
]
READS: list[tuple[str, int]] = [
    ("/payments", 200),
    ("/payments/stats", 200),
]


@pytest.mark.parametrize(("method", "path", "status"), DOCUMENTED)
def test_the_operation_is_documented(
    client: TestClient, method: str, path: str, status: int
) -> None:
    operation = client.get("/openapi.json").json()["paths"][path][method]

    assert str(status) in operation["responses"]


@pytest.mark.parametrize(("method", "path", "body"), UNKNOWN)
def test_what_does_not_exist_is_not_found(
    client: TestClient, method: str, path: str, body: Any
) -> None:
    answer = client.request(method, path, json=body)

    assert answer.status_code == 404
    assert "detail" in answer.json()


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_a_body_of_the_wrong_kind_is_refused(client: TestClient, method: str, path: str) -> None:
    for body in (
        "[1, 2]",
        '"text"',
        "7",
        "{",
        '{"a": NaN}',
        '{"a": "\\ud800"}',
        "[" * 100 + "]" * 100,
    ):
        headers = {"content-type": "application/json"}
        answer = client.request(method, path, content=body, headers=headers)

        assert answer.status_code in {400, 422}
        assert "detail" in answer.json()


@pytest.mark.parametrize(("path", "status"), READS)
def test_an_empty_service_can_be_read(client: TestClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status
