"""Talks of a conference: OpenAPI 3.1 with bearer tokens, null types and oneOf."""

from typing import Any
from uuid import UUID

import httpx
import pytest

TALK = {"title": "On walls", "minutes": 30, "speakers": [{"name": "Ann", "company": "Walls Inc."}]}


def signed_in(api: httpx.Client, email: str) -> dict[str, str]:
    account = {"email": email, "password": "long enough"}
    assert api.post("/register", json=account).status_code == 201
    token = api.post("/login", json=account).json()
    assert token["token_type"] == "bearer"
    return {"Authorization": f"Bearer {token['access_token']}"}


@pytest.fixture(scope="module")
def ann(api: httpx.Client) -> dict[str, str]:
    return signed_in(api, "ann@example.com")


@pytest.fixture(scope="module")
def bob(api: httpx.Client) -> dict[str, str]:
    return signed_in(api, "bob@example.com")


def talk(api: httpx.Client, headers: dict[str, str], **changes: object) -> dict[str, Any]:
    answer = api.post("/talks", json=TALK | changes, headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.mark.usefixtures("ann")
def test_an_email_registers_once(api: httpx.Client) -> None:
    again = {"email": "ann@example.com", "password": "something else"}

    assert api.post("/register", json=again).status_code == 409


@pytest.mark.parametrize(
    "account",
    [{"email": "no address", "password": "long enough"}, {"email": "c@d.example", "password": "x"}],
)
def test_bad_credentials_do_not_register(api: httpx.Client, account: dict[str, str]) -> None:
    assert api.post("/register", json=account).status_code == 422


@pytest.mark.usefixtures("ann")
def test_a_wrong_password_gets_no_token(api: httpx.Client) -> None:
    wrong = {"email": "ann@example.com", "password": "wrong enough"}

    assert api.post("/login", json=wrong).status_code == 401


def test_the_health_needs_no_token_but_talks_do(api: httpx.Client) -> None:
    assert api.get("/health").status_code == 200
    assert api.get("/talks").status_code == 401
    assert api.post("/talks", json=TALK).status_code == 401


def test_a_talk_starts_as_a_draft(api: httpx.Client, ann: dict[str, str]) -> None:
    made = talk(api, ann, abstract="Bricks", contact={"phone": "123"})

    read = api.get(f"/talks/{made['talk_id']}", headers=ann).json()

    assert UUID(made["talk_id"])
    assert made["status"] == "draft"
    assert {key: read[key] for key in TALK} == TALK
    assert read["contact"] == {"phone": "123"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"minutes": 20},
        {"minutes": "30"},
        {"speakers": []},
        {"speakers": [{"company": "X"}]},
        {"title": "ab"},
        {"title": None},
        {"contact": {"phone": "1", "handle": "x"}},
        {"contact": {"fax": "1"}},
    ],
)
def test_a_talk_that_breaks_the_schema_is_refused(
    api: httpx.Client, ann: dict[str, str], wrong: dict[str, object]
) -> None:
    assert api.post("/talks", json=TALK | wrong, headers=ann).status_code == 422


def test_the_talks_of_others_are_invisible(
    api: httpx.Client, ann: dict[str, str], bob: dict[str, str]
) -> None:
    path = f"/talks/{talk(api, ann)['talk_id']}"

    assert api.get("/talks", headers=bob).json() == []
    assert api.get(path, headers=bob).status_code == 404
    assert api.patch(path, json={"title": "Mine"}, headers=bob).status_code == 404
    assert api.post(f"{path}/withdraw", headers=bob).status_code == 404
    assert api.delete(path, headers=bob).status_code == 404
    assert api.get(path, headers=ann).json()["status"] == "draft"


def test_talks_are_found_by_words_and_by_status(api: httpx.Client, ann: dict[str, str]) -> None:
    wanted = talk(api, ann, title="Quokkas at work")
    api.post(f"/talks/{wanted['talk_id']}/submit", headers=ann)

    by_words = api.get("/talks", params={"q": "quokka"}, headers=ann).json()
    by_status = api.get("/talks", params={"status": "submitted"}, headers=ann).json()

    assert [one["talk_id"] for one in by_words] == [wanted["talk_id"]]
    assert wanted["talk_id"] in {one["talk_id"] for one in by_status}
    assert {one["status"] for one in by_status} == {"submitted"}
    assert api.get("/talks", params={"status": "lost"}, headers=ann).status_code == 422


def test_patch_tells_null_from_absent(api: httpx.Client, ann: dict[str, str]) -> None:
    made = talk(api, ann, abstract="Bricks")
    path = f"/talks/{made['talk_id']}"

    renamed = api.patch(path, json={"title": "On doors"}, headers=ann).json()
    emptied = api.patch(path, json={"abstract": None}, headers=ann).json()

    assert (renamed["title"], renamed["abstract"]) == ("On doors", "Bricks")
    assert (emptied["title"], emptied["abstract"]) == ("On doors", None)


def test_a_withdrawn_talk_stays_withdrawn(api: httpx.Client, ann: dict[str, str]) -> None:
    path = f"/talks/{talk(api, ann)['talk_id']}"

    assert api.post(f"{path}/submit", headers=ann).json()["status"] == "submitted"
    assert api.post(f"{path}/submit", headers=ann).status_code == 409
    assert api.post(f"{path}/withdraw", headers=ann).json()["status"] == "withdrawn"
    assert api.post(f"{path}/withdraw", headers=ann).status_code == 409
    assert api.post(f"{path}/submit", headers=ann).status_code == 409


def test_a_deleted_talk_is_gone(api: httpx.Client, ann: dict[str, str]) -> None:
    path = f"/talks/{talk(api, ann)['talk_id']}"

    assert api.delete(path, headers=ann).status_code == 204
    assert api.get(path, headers=ann).status_code == 404
