"""Each operation on its own: what is sent comes back, and nothing else does."""

from fastapi.testclient import TestClient

from app.main import create_app
from tests.examples import make_note, make_payment, payment_body


def test_the_application_describes_itself(client: TestClient) -> None:
    document = client.get("/openapi.json").json()

    assert document["info"]["title"] == "PAYMENT-PROCESSOR"


def test_an_unknown_path_is_not_found(client: TestClient) -> None:
    assert client.get("/no/such/path").status_code == 404


def test_applications_do_not_share_state() -> None:
    assert create_app() is not create_app()


def test_each_payment_has_its_own_id(client: TestClient) -> None:
    first, second = make_payment(client, 0), make_payment(client, 1)

    assert first["payment_id"] != second["payment_id"]


def test_a_payment_that_was_made_can_be_read(client: TestClient) -> None:
    record = make_payment(client)

    answer = client.get(f"/payments/{record['payment_id']}")

    assert answer.status_code == 200
    assert answer.json()["payment_id"] == record["payment_id"]


def test_a_payment_is_what_was_sent_not_what_an_example_says(client: TestClient) -> None:
    for number in (0, 1):
        sent = payment_body(client, number)
        record = make_payment(client, number)
        answer = client.get(f"/payments/{record['payment_id']}").json()
        for name in ["amount", "currency", "customer_id", "description", "metadata"]:
            assert answer[name] == sent[name]


def test_each_note_has_its_own_id(client: TestClient) -> None:
    first, second = make_note(client, 0), make_note(client, 1)

    assert first["note_id"] != second["note_id"]
