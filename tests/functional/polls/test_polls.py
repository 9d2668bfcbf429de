"""Polls: one fence with a line per endpoint."""

import json
from typing import Any

import httpx
from websockets.sync.client import connect

POLL = {"question": "Lunch?", "options": ["soup", "salad"]}


def poll(api: httpx.Client, **changes: object) -> dict[str, Any]:
    answer = api.post("/polls", json=POLL | changes)
    assert answer.status_code in {200, 201}, answer.text
    return dict(answer.json())


def listed(api: httpx.Client, **params: str) -> list[dict[str, Any]]:
    """The polls, whatever envelope the list has: the document does not say."""
    answer = api.get("/polls", params=params).json()
    if isinstance(answer, list):
        return answer
    return next(value for value in answer.values() if isinstance(value, list))


def test_a_poll_is_open_and_keeps_its_question(api: httpx.Client) -> None:
    made = poll(api, question="Why?")

    read = api.get(f"/polls/{made['poll_id']}").json()

    assert (read["question"], read["options"]) == ("Why?", POLL["options"])
    assert read["status"] == "open"


def test_a_poll_without_a_question_is_refused(api: httpx.Client) -> None:
    assert api.post("/polls", json={"options": ["a"]}).status_code == 422
    assert api.post("/polls", json={"question": "?", "options": "a"}).status_code == 422
    assert api.post("/polls", json=POLL | {"closes_at": "later"}).status_code == 422


def test_closed_polls_are_listed_apart(api: httpx.Client) -> None:
    closed, still_open = poll(api), poll(api)

    assert api.post(f"/polls/{closed['poll_id']}/close").status_code == 200

    found = {entry["poll_id"] for entry in listed(api, status="closed")}
    assert closed["poll_id"] in found
    assert still_open["poll_id"] not in found
    assert api.post(f"/polls/{closed['poll_id']}/close").status_code == 409


def test_votes_belong_to_their_poll(api: httpx.Client) -> None:
    one, other = poll(api), poll(api)
    vote = {"voter": "ann", "option": "soup"}

    assert api.post(f"/polls/{one['poll_id']}/votes", json=vote).is_success

    assert "ann" in api.get(f"/polls/{one['poll_id']}/votes").text
    assert "ann" not in api.get(f"/polls/{other['poll_id']}/votes").text
    assert api.post("/polls/none/votes", json=vote).status_code == 404


def test_a_deleted_poll_is_gone(api: httpx.Client) -> None:
    path = f"/polls/{poll(api)['poll_id']}"

    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_two_listeners_hear_of_a_poll(api: httpx.Client) -> None:
    address = str(api.base_url).replace("http", "ws") + "/ws"
    with connect(address, open_timeout=5) as one, connect(address, open_timeout=5) as two:
        made = poll(api, question="Heard?")

        for socket in (one, two):
            heard = json.loads(socket.recv(timeout=5))
            while made["poll_id"] not in json.dumps(heard):
                heard = json.loads(socket.recv(timeout=5))
            assert made["poll_id"] in json.dumps(heard)
