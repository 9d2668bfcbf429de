"""A warehouse: a table of endpoints, and the tables of a database."""

from typing import Any

import httpx
import pytest

PRODUCT = {"sku": "h-1", "name": "Hammer", "quantity": 4, "price": 12.5, "category": "tool"}


def product(api: httpx.Client, sku: str, **changes: object) -> dict[str, Any]:
    answer = api.post("/products", json=PRODUCT | {"sku": sku} | changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_product_is_kept_with_a_number_as_its_id(api: httpx.Client) -> None:
    made = product(api, "keep")

    read = api.get(f"/products/{made['product_id']}").json()

    assert isinstance(made["product_id"], int)
    assert {key: read[key] for key in PRODUCT} == PRODUCT | {"sku": "keep"}


def test_a_sku_is_taken_once(api: httpx.Client) -> None:
    product(api, "twice")

    assert api.post("/products", json=PRODUCT | {"sku": "twice"}).status_code == 409


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": -1},
        {"price": -0.01},
        {"category": "car"},
        {"sku": "s" * 21},
        {"quantity": "four"},
    ],
)
def test_what_the_database_would_refuse_is_refused(
    api: httpx.Client, wrong: dict[str, object]
) -> None:
    assert api.post("/products", json=PRODUCT | {"sku": "bad"} | wrong).status_code == 422


def test_a_quantity_left_out_is_zero(api: httpx.Client) -> None:
    body = {key: value for key, value in PRODUCT.items() if key != "quantity"} | {"sku": "zero"}

    made = api.post("/products", json=body)

    assert made.status_code == 201
    assert made.json()["quantity"] == 0


def test_products_are_filtered_by_category(api: httpx.Client) -> None:
    bear = product(api, "bear", category="toy")

    toys = api.get("/products", params={"category": "toy"}).json()

    assert [toy["product_id"] for toy in toys["products"]] == [bear["product_id"]]
    assert toys["total"] == 1


def test_a_product_is_updated_and_keeps_its_sku(api: httpx.Client) -> None:
    made = product(api, "update")
    path = f"/products/{made['product_id']}"
    change = {"name": "Mallet", "quantity": 9, "price": 3.0, "category": "toy"}

    assert api.put(path, json=change).status_code == 200

    read = api.get(path).json()
    assert {key: read[key] for key in change} == change
    assert read["sku"] == "update"
    assert api.put("/products/99999", json=change).status_code == 404


def test_a_deleted_product_is_gone(api: httpx.Client) -> None:
    path = f"/products/{product(api, 'gone')['product_id']}"

    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_movements_belong_to_their_product(api: httpx.Client) -> None:
    one, other = product(api, "m-1"), product(api, "m-2")
    path = f"/products/{one['product_id']}/movements"

    made = api.post(path, json={"delta": -2, "reason": "sold"})

    assert made.status_code == 201
    assert made.json()["product_id"] == one["product_id"]
    assert [entry["delta"] for entry in api.get(path).json()["movements"]] == [-2]
    assert api.get(f"/products/{other['product_id']}/movements").json()["movements"] == []
    assert api.post("/products/99999/movements", json={"delta": 1}).status_code == 404
