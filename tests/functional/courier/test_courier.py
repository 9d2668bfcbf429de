"""Parcels: decorators of FastAPI with pydantic models."""

from typing import Any

import httpx
import pytest

PARCEL = {
    "sender": "Ann",
    "receiver": "Bob",
    "address": {"street": "Main 1", "city": "Oslo", "postcode": "0150"},
    "weight_kg": 1.5,
}


def parcel(api: httpx.Client, **changes: object) -> dict[str, Any]:
    answer = api.post("/parcels", json=PARCEL | changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_parcel_gets_a_number_a_status_and_the_defaults(api: httpx.Client) -> None:
    made = parcel(api)

    assert isinstance(made["parcel_id"], int)
    assert (made["status"], made["size"], made["fragile"]) == ("registered", "small", False)
    assert made["deliver_by"] is None
    assert {key: made[key] for key in PARCEL} == PARCEL
    assert api.get(f"/parcels/{made['parcel_id']}").json() == made


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight_kg": 0},
        {"weight_kg": 30.1},
        {"size": "huge"},
        {"address": {"street": "Main 1", "city": "Oslo"}},
        {"address": {"street": "Main 1", "city": "Oslo", "postcode": "1"}},
        {"address": "Main 1, Oslo"},
        {"deliver_by": "soon"},
        {"fragile": "very"},
    ],
)
def test_a_parcel_that_breaks_a_bound_is_refused(
    api: httpx.Client, wrong: dict[str, object]
) -> None:
    assert api.post("/parcels", json=PARCEL | wrong).status_code == 422


def test_the_heaviest_parcel_is_accepted(api: httpx.Client) -> None:
    assert parcel(api, weight_kg=30)["weight_kg"] == 30


def test_a_date_is_kept(api: httpx.Client) -> None:
    assert parcel(api, deliver_by="2026-12-24")["deliver_by"] == "2026-12-24"


def test_the_list_is_a_plain_array_filtered_by_size(api: httpx.Client) -> None:
    large = parcel(api, size="large")

    found = api.get("/parcels", params={"size": "large"}).json()

    assert [entry["parcel_id"] for entry in found] == [large["parcel_id"]]
    assert api.get("/parcels", params={"size": "huge"}).status_code == 422


def test_limits_of_the_page_are_checked(api: httpx.Client) -> None:
    parcel(api)
    parcel(api)

    assert len(api.get("/parcels", params={"limit": 1}).json()) == 1
    assert api.get("/parcels", params={"limit": 0}).status_code == 422
    assert api.get("/parcels", params={"limit": 101}).status_code == 422
    assert api.get("/parcels", params={"offset": -1}).status_code == 422


def test_the_oldest_parcel_comes_first(api: httpx.Client) -> None:
    older, newer = parcel(api, size="medium"), parcel(api, size="medium")

    listed = api.get("/parcels", params={"size": "medium"}).json()

    assert [p["parcel_id"] for p in listed] == [older["parcel_id"], newer["parcel_id"]]


def test_a_change_leaves_the_rest_as_it_is(api: httpx.Client) -> None:
    made = parcel(api)

    changed = api.patch(f"/parcels/{made['parcel_id']}", json={"receiver": "Eve"})

    assert changed.status_code == 200
    assert changed.json() == made | {"receiver": "Eve"}


def test_a_delivered_parcel_is_not_delivered_again(api: httpx.Client) -> None:
    path = f"/parcels/{parcel(api)['parcel_id']}"

    assert api.post(f"{path}/pickup").json()["status"] == "picked_up"
    assert api.post(f"{path}/deliver").json()["status"] == "delivered"
    assert api.post(f"{path}/deliver").status_code == 409
    assert api.post(f"{path}/pickup").status_code == 409
    assert api.get("/parcels", params={"status": "delivered"}).json()[-1]["status"] == "delivered"


def test_a_deleted_parcel_is_gone(api: httpx.Client) -> None:
    path = f"/parcels/{parcel(api)['parcel_id']}"

    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    assert api.get("/parcels/not-a-number").status_code == 422
