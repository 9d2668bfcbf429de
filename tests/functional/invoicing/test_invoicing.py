"""Invoices: inline JSON with type words, money, dates and idempotency keys."""

from typing import Any

import httpx
import pytest

INVOICE = {
    "customer": "ACME",
    "amount": 19.99,
    "currency": "EUR",
    "due_date": "2026-02-28",
    "lines": [{"text": "Nails", "quantity": 3, "unit_price": 6.66}],
}
PAYMENT = {"method": "card", "reference": "r-1"}


def drafted(api: httpx.Client, **changes: object) -> dict[str, Any]:
    answer = api.post("/invoices", json=INVOICE | changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_draft_is_kept_as_it_was_sent(api: httpx.Client) -> None:
    draft = drafted(api, memo="Thanks")

    read = api.get(f"/invoices/{draft['invoice_id']}").json()

    assert draft["status"] == read["status"] == "draft"
    assert {key: read[key] for key in INVOICE} == INVOICE
    assert read["memo"] == "Thanks"


def test_an_optional_memo_may_be_left_out(api: httpx.Client) -> None:
    assert not api.get(f"/invoices/{drafted(api)['invoice_id']}").json()["memo"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"currency": "SEK"},
        {"due_date": "tomorrow"},
        {"amount": "much"},
        {"lines": [{"text": "x", "quantity": "one", "unit_price": 1.0}]},
    ],
)
def test_an_invoice_of_the_wrong_shape_is_refused(
    api: httpx.Client, wrong: dict[str, object]
) -> None:
    assert api.post("/invoices", json=INVOICE | wrong).status_code == 422


def test_a_whole_number_is_an_amount_too(api: httpx.Client) -> None:
    assert drafted(api, amount=20)["amount"] == 20


def test_a_repeated_key_drafts_one_invoice(api: httpx.Client) -> None:
    key = {"Idempotency-Key": "k-1"}
    body = INVOICE | {"customer": "Once"}

    first = api.post("/invoices", json=body, headers=key)
    again = api.post("/invoices", json=body, headers=key)

    assert first.json()["invoice_id"] == again.json()["invoice_id"]
    assert api.get("/invoices", params={"customer": "Once"}).json()["total"] == 1
    other = api.post("/invoices", json=body | {"amount": 1.0}, headers=key)
    assert other.status_code == 409


def test_invoices_are_filtered_by_customer_and_status(api: httpx.Client) -> None:
    sent = drafted(api, customer="Filter")
    draft = drafted(api, customer="Filter")
    api.post(f"/invoices/{sent['invoice_id']}/send")

    both = api.get("/invoices", params={"customer": "Filter"}).json()
    drafts = api.get("/invoices", params={"customer": "Filter", "status": "draft"}).json()

    assert both["total"] == 2
    assert [one["invoice_id"] for one in drafts["invoices"]] == [draft["invoice_id"]]


def test_only_drafts_are_sent(api: httpx.Client) -> None:
    path = f"/invoices/{drafted(api)['invoice_id']}"

    sent = api.post(f"{path}/send")

    assert (sent.status_code, sent.json()["status"]) == (200, "sent")
    assert sent.json()["sent_at"]
    assert api.post(f"{path}/send").status_code == 409


def test_a_paid_invoice_is_neither_paid_again_nor_void(api: httpx.Client) -> None:
    path = f"/invoices/{drafted(api)['invoice_id']}"
    api.post(f"{path}/send")

    paid = api.post(f"{path}/pay", json=PAYMENT)

    assert (paid.status_code, paid.json()["status"], paid.json()["method"]) == (200, "paid", "card")
    assert api.post(f"{path}/pay", json=PAYMENT).status_code == 409
    assert api.post(f"{path}/void").status_code == 409
    assert api.get(path).json()["status"] == "paid"


def test_a_void_invoice_stays_void(api: httpx.Client) -> None:
    path = f"/invoices/{drafted(api)['invoice_id']}"

    assert api.post(f"{path}/void").json()["status"] == "void"
    assert api.post(f"{path}/pay", json=PAYMENT).status_code == 409
    assert api.post(f"{path}/void").status_code == 409


def test_an_unknown_way_of_paying_is_refused(api: httpx.Client) -> None:
    path = f"/invoices/{drafted(api)['invoice_id']}"

    assert api.post(f"{path}/pay", json=PAYMENT | {"method": "barter"}).status_code == 422
    assert api.get(path).json()["status"] == "draft"


def test_what_nobody_can_infer_is_said_to_be_missing(api: httpx.Client) -> None:
    path = f"/invoices/{drafted(api)['invoice_id']}/exchange"

    answer = api.get(path, params={"to": "USD"})

    assert answer.status_code == 501
    assert answer.json()["spec_line"] > 40
    implementation = api.get("/capabilities").json()["metadata"]["implementation"]
    assert "501" in implementation["GET /invoices/{invoice_id}/exchange"]


def test_unknown_invoices_are_not_found(api: httpx.Client) -> None:
    assert api.get("/invoices/nope").status_code == 404
    assert api.post("/invoices/nope/send").status_code == 404
    assert api.post("/invoices/nope/pay", json=PAYMENT).status_code == 404
