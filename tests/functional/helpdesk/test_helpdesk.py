"""Tickets and their conversations: bold paragraphs with prose, and Python classes."""

import json
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

TICKET = {"subject": "Printer", "description": "On fire", "customer_email": "ann@example.com"}


def opened(api: httpx.Client, **changes: object) -> dict[str, Any]:
    answer = api.post("/tickets", json=TICKET | changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_new_ticket_is_open_and_has_the_default_priority(api: httpx.Client) -> None:
    ticket = opened(api)

    assert ticket["status"] == "open"
    read = api.get(f"/tickets/{ticket['ticket_id']}").json()
    assert read["priority"] == "normal"
    assert {key: read[key] for key in TICKET} == TICKET
    assert read["created_at"] == ticket["created_at"]
    assert read["assignee"] is None


def test_a_priority_outside_the_list_is_refused(api: httpx.Client) -> None:
    assert api.post("/tickets", json=TICKET | {"priority": "whenever"}).status_code == 422


@pytest.mark.parametrize("missing", sorted(TICKET))
def test_a_ticket_without_what_it_needs_is_refused(api: httpx.Client, missing: str) -> None:
    body = {key: value for key, value in TICKET.items() if key != missing}

    assert api.post("/tickets", json=body).status_code == 422


def test_tickets_are_filtered_by_priority_and_customer(api: httpx.Client) -> None:
    bob = "bob@example.com"
    wanted = opened(api, priority="urgent", customer_email=bob)
    opened(api, priority="low", customer_email=bob)

    found = api.get("/tickets", params={"priority": "urgent", "customer_email": bob}).json()

    assert [ticket["ticket_id"] for ticket in found["tickets"]] == [wanted["ticket_id"]]
    assert found["total"] == 1


def test_the_newest_ticket_comes_first(api: httpx.Client) -> None:
    first = opened(api, customer_email="order@example.com")
    second = opened(api, customer_email="order@example.com")

    listed = api.get("/tickets", params={"customer_email": "order@example.com"}).json()["tickets"]

    assert [t["ticket_id"] for t in listed] == [second["ticket_id"], first["ticket_id"]]


def test_a_page_has_at_most_as_many_tickets_as_asked_for(api: httpx.Client) -> None:
    for _ in range(3):
        opened(api, customer_email="many@example.com")

    page = api.get("/tickets", params={"customer_email": "many@example.com", "limit": 2}).json()

    assert len(page["tickets"]) == 2
    assert page["total"] == 3


def test_the_summary_counts_real_tickets(api: httpx.Client) -> None:
    before = api.get("/tickets/summary").json()
    ticket = opened(api)
    opened(api)
    api.post(f"/tickets/{ticket['ticket_id']}/close")

    after = api.get("/tickets/summary").json()

    assert after["total"] == before["total"] + 2
    assert after["open"] == before["open"] + 1
    assert after["closed"] == before["closed"] + 1


def test_patch_changes_only_what_it_names(api: httpx.Client) -> None:
    ticket = opened(api)
    path = f"/tickets/{ticket['ticket_id']}"

    changed = api.patch(path, json={"assignee": "eve", "priority": "high"})

    assert changed.status_code == 200
    read = api.get(path).json()
    assert (read["assignee"], read["priority"], read["subject"]) == ("eve", "high", "Printer")
    assert api.patch(path, json={"priority": "huge"}).status_code == 422
    assert api.patch("/tickets/none", json={"assignee": "eve"}).status_code == 404


def test_comments_belong_to_their_ticket_oldest_first(api: httpx.Client) -> None:
    ticket, other = opened(api), opened(api)
    path = f"/tickets/{ticket['ticket_id']}/comments"

    for text in ("first", "second"):
        made = api.post(path, json={"author": "ann", "text": text})
        assert made.status_code == 201
        assert made.json()["ticket_id"] == ticket["ticket_id"]

    comments = api.get(path).json()
    assert isinstance(comments, list)
    assert [comment["text"] for comment in comments] == ["first", "second"]
    assert api.get(f"/tickets/{other['ticket_id']}/comments").json() == []
    assert api.get("/tickets/none/comments").status_code == 404
    assert api.post("/tickets/none/comments", json={"author": "a", "text": "b"}).status_code == 404


def test_a_closed_ticket_is_closed_for_good(api: httpx.Client) -> None:
    path = f"/tickets/{opened(api)['ticket_id']}"

    resolved = api.post(f"{path}/resolve", json={"resolution": "Water"})
    closed = api.post(f"{path}/close")

    assert resolved.status_code == 200
    assert (resolved.json()["status"], resolved.json()["resolution"]) == ("resolved", "Water")
    assert closed.status_code == 200
    assert closed.json()["status"] == "closed"
    assert api.post(f"{path}/close").status_code == 409
    assert api.post(f"{path}/resolve", json={}).status_code == 409
    assert api.get(path).json()["status"] == "closed"


def test_listeners_hear_of_a_new_ticket(api: httpx.Client) -> None:
    address = str(api.base_url).replace("http", "ws") + "/tickets/stream"
    with connect(address, open_timeout=5) as socket:
        ticket = opened(api, subject="Heard")

        event = json.loads(socket.recv(timeout=5))
        while ticket["ticket_id"] not in json.dumps(event):
            event = json.loads(socket.recv(timeout=5))

    assert ticket["ticket_id"] in json.dumps(event)
