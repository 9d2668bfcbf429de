"""Records that the tests make, by way of the service's own endpoints."""

import itertools
from typing import Any

from fastapi.testclient import TestClient

Json = dict[str, Any]
_numbers = itertools.count(2)

PAYMENTS: list[Any] = [
    {
        "amount": 2,
        "currency": "USD",
        "customer_id": "customer_id 1",
        "description": "description 1",
        "metadata": {"key": "value 1"},
    },
    {
        "amount": 3,
        "currency": "GBP",
        "customer_id": "customer_id 2",
        "description": "description 2",
        "metadata": {"key": "value 2"},
    },
]


def payment_body(client: TestClient, number: int = 0) -> Any:
    """What is sent to make a payment."""
    return PAYMENTS[number % 2]


def make_payment(client: TestClient, number: int = 0) -> Json:
    """Make a payment; the number chooses between two different ones."""
    body = payment_body(client, number)
    answer = client.post("/payments", json=body)
    assert answer.status_code == 201, answer.text
    record: Json = answer.json()
    return {
        **record,
    }


NOTES: list[Any] = [
    {"author": "author 1", "text": "text 1"},
    {"author": "author 2", "text": "text 2"},
]


def note_body(client: TestClient, number: int = 0) -> Any:
    """What is sent to make a note."""
    return NOTES[number % 2]


def make_note(client: TestClient, number: int = 0, payment_id: Any = None) -> Json:
    """Make a note; the number chooses between two different ones."""
    if payment_id is None:
        payment_id = make_payment(client, next(_numbers))["payment_id"]
    body = note_body(client, number)
    answer = client.post(f"/payments/{payment_id}/notes", json=body)
    assert answer.status_code == 201, answer.text
    record: Json = answer.json()
    return {
        **record,
        "payment_id": payment_id,
    }
