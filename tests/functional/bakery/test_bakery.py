"""A bakery: headings without bodies, and tables that say what the fields are."""

from itertools import count
from typing import Any

import httpx
import pytest

BASE = "/api/v1"
numbers = count()


def customer(api: httpx.Client, **changes: object) -> dict[str, Any]:
    body = {"name": "Ann", "email": f"ann{next(numbers)}@example.com"} | changes
    answer = api.post(f"{BASE}/customers", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def order(api: httpx.Client, **changes: object) -> dict[str, Any]:
    body = {"pickup_date": "2026-02-03", "total": 9.5} | changes
    body.setdefault("customer_id", customer(api)["id"])
    answer = api.post(f"{BASE}/orders", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_customer_is_kept_with_a_number_and_the_default(api: httpx.Client) -> None:
    made = customer(api, name="Bob")

    read = api.get(f"{BASE}/customers/{made['id']}").json()

    assert isinstance(made["id"], int)
    assert (read["name"], read["vip"]) == ("Bob", False)


@pytest.mark.parametrize("wrong", [{"name": "x"}, {"name": "x" * 51}, {"name": 5}, {"vip": "no"}])
def test_a_customer_that_breaks_the_table_is_refused(
    api: httpx.Client, wrong: dict[str, object]
) -> None:
    body = {"name": "Ann", "email": "wrong@example.com"} | wrong

    assert api.post(f"{BASE}/customers", json=body).status_code == 422


def test_a_customer_needs_an_email_that_nobody_else_has(api: httpx.Client) -> None:
    made = customer(api)

    again = api.post(f"{BASE}/customers", json={"name": "Eve", "email": made["email"]})

    assert again.status_code == 409
    assert api.post(f"{BASE}/customers", json={"name": "Eve"}).status_code == 422


def test_customers_are_listed_as_an_array(api: httpx.Client) -> None:
    made = customer(api)

    assert made["id"] in [one["id"] for one in api.get(f"{BASE}/customers").json()]


def test_an_order_belongs_to_a_customer_that_exists(api: httpx.Client) -> None:
    made = order(api)

    assert made["status"] == "new"
    assert made["created_at"]
    nobody = {"pickup_date": "2026-02-03", "total": 1.0, "customer_id": 99999}
    assert api.post(f"{BASE}/orders", json=nobody).status_code == 404


def test_orders_are_filtered_and_sorted(api: httpx.Client) -> None:
    owner = customer(api)["id"]
    cheap, dear = order(api, customer_id=owner, total=30), order(api, customer_id=owner, total=2)

    def found(**query: object) -> list[int]:
        asked = {"customer_id": owner, **query}
        return [one["id"] for one in api.get(f"{BASE}/orders", params=asked).json()["orders"]]

    assert found() == [cheap["id"], dear["id"]]
    assert found(min_total=10) == [cheap["id"]]
    assert found(sort="total") == [dear["id"], cheap["id"]]
    assert found(limit=1, offset=1) == [dear["id"]]
    assert found(status="cancelled") == []


def test_an_order_is_changed_in_part(api: httpx.Client) -> None:
    path = f"{BASE}/orders/{order(api)['id']}"

    assert api.patch(path, json={"total": 11}).status_code == 200

    read = api.get(path).json()
    assert (read["total"], read["pickup_date"]) == (11, "2026-02-03")
    assert api.patch(path, json={"total": -1}).status_code == 422


def test_only_new_orders_are_baked(api: httpx.Client) -> None:
    path = f"{BASE}/orders/{order(api)['id']}"

    baked = api.post(f"{path}/bake")

    assert (baked.status_code, baked.json()["status"]) == (200, "baking")
    assert api.post(f"{path}/bake").status_code == 409
    assert api.post(f"{path}/cancel").json()["status"] == "cancelled"
    assert api.post(f"{path}/cancel").status_code == 409
    assert api.post(f"{path}/bake").status_code == 409


def test_items_belong_to_their_order(api: httpx.Client) -> None:
    one, other = order(api)["id"], order(api)["id"]
    made = api.post(f"{BASE}/orders/{one}/items", json={"bread": "rye", "pieces": 3})

    assert made.status_code == 201
    assert made.json()["order_id"] == one
    assert [item["pieces"] for item in api.get(f"{BASE}/orders/{one}/items").json()] == [3]
    assert api.get(f"{BASE}/orders/{other}/items").json() == []
    assert api.delete(f"{BASE}/orders/{other}/items/{made.json()['id']}").status_code == 404
    assert api.delete(f"{BASE}/orders/{one}/items/{made.json()['id']}").status_code == 204
    assert api.get(f"{BASE}/orders/{one}/items").json() == []


@pytest.mark.parametrize("wrong", [{"pieces": 0}, {"pieces": 101}, {"bread": "cake"}])
def test_an_item_that_breaks_the_table_is_refused(
    api: httpx.Client, wrong: dict[str, object]
) -> None:
    path = f"{BASE}/orders/{order(api)['id']}/items"

    assert api.post(path, json={"bread": "rye", "pieces": 1} | wrong).status_code == 422


def test_the_statistics_count_real_records(api: httpx.Client) -> None:
    before = api.get(f"{BASE}/stats").json()
    path = f"{BASE}/orders/{order(api)['id']}"
    order(api)
    api.post(f"{path}/cancel")

    after = api.get(f"{BASE}/stats").json()

    assert after["total_orders"] == before["total_orders"] + 2
    assert after["total_customers"] == before["total_customers"] + 2
    assert after["new"] == before["new"] + 1
    assert after["cancelled"] == before["cancelled"] + 1
    assert after["baking"] == before["baking"]


def test_a_deleted_order_is_gone(api: httpx.Client) -> None:
    path = f"{BASE}/orders/{order(api)['id']}"

    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
