"""A pet shop: OpenAPI 3.0 with references, allOf, enums and bounds."""

from typing import Any
from uuid import UUID

import httpx
import pytest

PET = {"name": "Tom", "species": "cat", "price": 10.5}


def pet(api: httpx.Client, **changes: object) -> dict[str, Any]:
    answer = api.post("/pets", json=PET | changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def order(api: httpx.Client, **changes: object) -> dict[str, Any]:
    body = {"petId": pet(api)["id"], "buyer": "Ann"} | changes
    answer = api.post("/orders", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_pet_is_kept_with_its_defaults(api: httpx.Client) -> None:
    made = pet(api, born="2024-05-06", traits={"eyes": "green"}, tags=["soft"])

    read = api.get(f"/pets/{made['id']}").json()

    assert isinstance(made["id"], int)
    assert read == made
    assert {key: read[key] for key in PET} == PET
    assert (read["born"], read["vaccinated"]) == ("2024-05-06", False)
    assert (read["traits"], read["tags"]) == ({"eyes": "green"}, ["soft"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"species": "dragon"},
        {"price": -1},
        {"price": 10000},
        {"price": "cheap"},
        {"name": ""},
        {"name": "x" * 41},
        {"born": "yesterday"},
        {"tags": ["a", "b", "c", "d"]},
        {"traits": {"eyes": 2}},
        {"surprise": 1},
        {"vaccinated": "yes"},
    ],
)
def test_a_pet_that_breaks_the_schema_is_refused(
    api: httpx.Client, wrong: dict[str, object]
) -> None:
    answer = api.post("/pets", json=PET | wrong)

    assert answer.status_code == 422
    assert "detail" in answer.json()


def test_the_client_does_not_choose_the_id(api: httpx.Client) -> None:
    answer = api.post("/pets", json=PET | {"id": 424242})

    assert answer.status_code == 422 or answer.json()["id"] != 424242


def test_pets_are_filtered_and_paged(api: httpx.Client) -> None:
    parrots = [pet(api, species="parrot", name=f"Polly {n}")["id"] for n in range(3)]

    everything = api.get("/pets", params={"species": "parrot"}).json()
    page = api.get("/pets", params={"species": "parrot", "limit": 2, "offset": 1}).json()

    assert [one["id"] for one in everything["items"]] == parrots
    assert [one["id"] for one in page["items"]] == parrots[1:]
    assert page["total"] == 3


@pytest.mark.parametrize(
    "query", [{"species": "dragon"}, {"limit": 0}, {"limit": 51}, {"offset": -1}, {"sort": "age"}]
)
def test_a_query_that_breaks_its_schema_is_refused(
    api: httpx.Client, query: dict[str, str]
) -> None:
    assert api.get("/pets", params=query).status_code == 422


def test_pets_are_sorted_by_price_in_both_directions(api: httpx.Client) -> None:
    for price in (3, 1, 2):
        pet(api, species="dog", price=price)

    def prices(sort: str) -> list[float]:
        found = api.get("/pets", params={"species": "dog", "sort": sort}).json()["items"]
        return [one["price"] for one in found]

    assert prices("price") == [1, 2, 3]
    assert prices("-price") == [3, 2, 1]


def test_the_count_is_not_taken_for_an_id(api: httpx.Client) -> None:
    before = api.get("/pets/count").json()["total"]

    pet(api)

    assert api.get("/pets/count").json()["total"] == before + 1


def test_put_replaces_the_whole_pet(api: httpx.Client) -> None:
    made = pet(api, tags=["soft"], vaccinated=True)

    replaced = api.put(f"/pets/{made['id']}", json=PET | {"name": "Tim"})

    assert replaced.status_code == 200
    read = api.get(f"/pets/{made['id']}").json()
    assert (read["id"], read["name"], read["vaccinated"]) == (made["id"], "Tim", False)
    assert not read.get("tags")
    assert api.put("/pets/987654", json=PET).status_code == 404


def test_a_deleted_pet_is_gone(api: httpx.Client) -> None:
    path = f"/pets/{pet(api)['id']}"

    assert api.delete(path).status_code == 204
    missing = api.get(path)
    assert missing.status_code == 404
    assert isinstance(missing.json()["detail"], str)


def test_an_order_refers_to_a_pet_that_exists(api: httpx.Client) -> None:
    made = order(api, note="Ring twice")

    assert UUID(made["id"])
    assert (made["status"], made["note"]) == ("placed", "Ring twice")
    assert api.get(f"/orders/{made['id']}").json() == made
    nobody = api.post("/orders", json={"petId": 987654, "buyer": "Ann"})
    assert nobody.status_code == 404


def test_an_order_is_shipped_once(api: httpx.Client) -> None:
    made = order(api)

    shipped = api.post(f"/orders/{made['id']}/ship")

    assert (shipped.status_code, shipped.json()["status"]) == (200, "shipped")
    assert api.post(f"/orders/{made['id']}/ship").status_code == 409
    unknown = "/orders/00000000-0000-4000-8000-000000000000/ship"
    assert api.post(unknown).status_code == 404


def test_an_order_id_that_is_no_uuid_is_refused(api: httpx.Client) -> None:
    assert api.get("/orders/7").status_code in {404, 422}
