"""Rooms and reservations: fences whose first line is the route, ids that are numbers."""

from typing import Any

import httpx
import pytest

ROOM = {"name": "Cellar", "floor": 0, "capacity": 3, "has_projector": False}
MEETING = {
    "title": "Retro",
    "starts_at": "2026-01-02T03:04:05Z",
    "ends_at": "2026-01-02T04:04:05Z",
    "attendees": ["zoe@example.com"],
}


def room(api: httpx.Client, **changes: object) -> dict[str, Any]:
    answer = api.post("/rooms", json=ROOM | changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def reservation(api: httpx.Client, room_id: int) -> dict[str, Any]:
    answer = api.post("/reservations", json=MEETING | {"room_id": room_id})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_rooms_have_numbers_as_ids(api: httpx.Client) -> None:
    first, second = room(api), room(api, name="Attic")

    assert isinstance(first["id"], int)
    assert second["id"] == first["id"] + 1
    assert api.get(f"/rooms/{second['id']}").json() == ROOM | {"name": "Attic", "id": second["id"]}


def test_an_id_that_is_no_number_is_refused(api: httpx.Client) -> None:
    assert api.get("/rooms/cellar").status_code == 422
    assert api.get("/rooms/987654").status_code == 404


def test_rooms_are_filtered_by_floor_and_least_capacity(api: httpx.Client) -> None:
    small = room(api, floor=7, capacity=2)
    large = room(api, floor=7, capacity=20)

    on_floor = api.get("/rooms", params={"floor": 7}).json()
    roomy = api.get("/rooms", params={"floor": 7, "min_capacity": 10}).json()

    assert {one["id"] for one in on_floor["rooms"]} == {small["id"], large["id"]}
    assert on_floor["count"] == 2
    assert [one["id"] for one in roomy["rooms"]] == [large["id"]]


@pytest.mark.parametrize("wrong", [{"floor": "two"}, {"has_projector": "yes"}, {"capacity": 2.5}])
def test_a_room_of_the_wrong_shape_is_refused(api: httpx.Client, wrong: dict[str, object]) -> None:
    assert api.post("/rooms", json=ROOM | wrong).status_code == 422


def test_a_reservation_is_confirmed_and_keeps_what_it_was_given(api: httpx.Client) -> None:
    cellar = room(api)

    made = reservation(api, cellar["id"])

    assert made["status"] == "confirmed"
    assert made["room_id"] == cellar["id"]
    assert made["attendees"] == MEETING["attendees"]
    assert made["starts_at"].startswith("2026-01-02T03:04:05")


def test_a_room_that_does_not_exist_cannot_be_reserved(api: httpx.Client) -> None:
    assert api.post("/reservations", json=MEETING | {"room_id": 123456}).status_code == 404


def test_reservations_are_filtered_by_room(api: httpx.Client) -> None:
    one, other = room(api), room(api)
    made = reservation(api, one["id"])
    reservation(api, other["id"])

    found = api.get("/reservations", params={"room_id": one["id"]}).json()["reservations"]

    assert [entry["id"] for entry in found] == [made["id"]]


def test_a_reservation_is_cancelled_once(api: httpx.Client) -> None:
    made = reservation(api, room(api)["id"])

    cancelled = api.post(f"/reservations/{made['id']}/cancel")

    assert cancelled.status_code == 200
    assert cancelled.json()["id"] == made["id"]
    assert cancelled.json()["status"] == "cancelled"
    assert api.post(f"/reservations/{made['id']}/cancel").status_code == 409
    assert api.post("/reservations/424242/cancel").status_code == 404
