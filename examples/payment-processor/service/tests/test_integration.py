"""Operations together: lists, changes, states, and what outlives a restart."""

from fastapi.testclient import TestClient

from app.config import Settings
from app.main import create_app
from tests.examples import make_note, make_payment


def test_the_service_can_be_started_again(settings: Settings) -> None:
    for _ in range(2):
        with TestClient(create_app(settings)) as client:
            assert client.get("/health").json()["status"] == "active"


def test_a_payment_outlives_a_restart(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        record = make_payment(client)
        headers = dict(client.headers)

    with TestClient(create_app(settings), headers=headers) as client:
        assert client.get(f"/payments/{record['payment_id']}").status_code == 200


def test_the_list_of_payments_grows(client: TestClient) -> None:
    record = make_payment(client, 0)
    make_payment(client, 1)

    answer = client.get("/payments").json()

    assert len(answer["payments"]) == 2
    assert record["payment_id"] in [item["payment_id"] for item in answer["payments"]]
    assert answer["total"] == 2
    assert answer["pending"] == 2


def test_the_list_of_payments_comes_in_pages(client: TestClient) -> None:
    make_payment(client, 0)
    make_payment(client, 1)

    answer = client.get("/payments", params={"limit": 1}).json()

    assert len(answer["payments"]) == 1
    assert answer["total"] == 2


def test_the_list_of_payments_goes_on_after_an_offset(client: TestClient) -> None:
    record = make_payment(client, 0)
    make_payment(client, 1)

    pages = [client.get("/payments", params={"limit": 1, "offset": n}).json() for n in (0, 1, 2)]

    ids = [[item["payment_id"] for item in answer["payments"]] for answer in pages]
    assert record["payment_id"] in ids[0] + ids[1]
    assert ids[0] != ids[1]
    assert ids[2] == []


def test_payments_can_be_filtered_by_currency(client: TestClient) -> None:
    record = make_payment(client, 0)
    make_payment(client, 1)
    wanted = record["currency"]

    answer = client.get("/payments", params={"currency": wanted}).json()

    assert [item["currency"] for item in answer["payments"]] == [wanted]


def test_payments_can_be_filtered_by_customer_id(client: TestClient) -> None:
    record = make_payment(client, 0)
    make_payment(client, 1)
    wanted = record["customer_id"]

    answer = client.get("/payments", params={"customer_id": wanted}).json()

    assert [item["customer_id"] for item in answer["payments"]] == [wanted]


def test_a_payment_can_be_changed(client: TestClient) -> None:
    record = make_payment(client)
    change = {"description": "description 3"}

    answer = client.patch(f"/payments/{record['payment_id']}", json=change)

    assert answer.status_code == 200, answer.text
    assert (
        client.get(f"/payments/{record['payment_id']}").json()["description"]
        == change["description"]
    )


def test_capture_payment_changes_the_payment(client: TestClient) -> None:
    record = make_payment(client)

    answer = client.post(f"/payments/{record['payment_id']}/capture")

    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "captured"
    again = client.post(f"/payments/{record['payment_id']}/capture")
    assert again.status_code == 409


def test_cancel_payment_changes_the_payment(client: TestClient) -> None:
    record = make_payment(client)

    answer = client.post(f"/payments/{record['payment_id']}/cancel", json={"reason": "reason 2"})

    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "cancelled"
    again = client.post(f"/payments/{record['payment_id']}/cancel", json={"reason": "reason 2"})
    assert again.status_code == 409


def test_refund_payment_changes_the_payment(client: TestClient) -> None:
    record = make_payment(client)
    client.post(f"/payments/{record['payment_id']}/capture")

    answer = client.post(f"/payments/{record['payment_id']}/refund")

    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "refunded"
    again = client.post(f"/payments/{record['payment_id']}/refund")
    assert again.status_code == 409


def test_refund_payment_is_refused_for_a_new_payment(client: TestClient) -> None:
    record = make_payment(client)

    answer = client.post(f"/payments/{record['payment_id']}/refund")

    assert answer.status_code == 409


def test_a_payment_can_be_deleted(client: TestClient) -> None:
    record = make_payment(client)

    answer = client.delete(f"/payments/{record['payment_id']}")

    assert answer.status_code == 204, answer.text
    assert client.delete(f"/payments/{record['payment_id']}").status_code == 404
    assert client.get(f"/payments/{record['payment_id']}").status_code == 404


def test_changes_of_a_payment_are_told_on_the_stream(client: TestClient) -> None:
    record = make_payment(client)

    with client.websocket_connect(f"/payments/{record['payment_id']}/stream") as stream:
        client.post(f"/payments/{record['payment_id']}/capture")
        assert stream.receive_json()["payment_id"] == str(record["payment_id"])


def test_the_list_of_notes_grows(client: TestClient) -> None:
    record = make_note(client, 0)
    make_note(client, 1, payment_id=record["payment_id"])

    answer = client.get(f"/payments/{record['payment_id']}/notes").json()

    assert len(answer["notes"]) == 2
    assert record["note_id"] in [item["note_id"] for item in answer["notes"]]
    assert answer["total"] == 2


def test_the_list_of_notes_comes_in_pages(client: TestClient) -> None:
    record = make_note(client, 0)
    make_note(client, 1, payment_id=record["payment_id"])

    answer = client.get(f"/payments/{record['payment_id']}/notes", params={"limit": 1}).json()

    assert len(answer["notes"]) == 1
    assert answer["total"] == 2


def test_the_list_of_notes_goes_on_after_an_offset(client: TestClient) -> None:
    record = make_note(client, 0)
    make_note(client, 1, payment_id=record["payment_id"])

    pages = [
        client.get(
            f"/payments/{record['payment_id']}/notes", params={"limit": 1, "offset": n}
        ).json()
        for n in (0, 1, 2)
    ]

    ids = [[item["note_id"] for item in answer["notes"]] for answer in pages]
    assert record["note_id"] in ids[0] + ids[1]
    assert ids[0] != ids[1]
    assert ids[2] == []
