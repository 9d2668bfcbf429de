"""A private journal: bullets, accounts, tokens, and records that only their owner sees."""

from typing import Any

import httpx
import pytest

ENTRY = {"title": "Tuesday", "text": "Sun.", "mood": "fine"}


def signed_in(api: httpx.Client, name: str) -> dict[str, str]:
    account = {"username": name, "password": f"the password of {name}"}
    registered = api.post("/auth/register", json=account)
    assert registered.status_code == 201, registered.text
    token = api.post("/auth/login", json=account).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def ann(api: httpx.Client) -> dict[str, str]:
    return signed_in(api, "ann")


@pytest.fixture(scope="module")
def bob(api: httpx.Client) -> dict[str, str]:
    return signed_in(api, "bob")


def written(api: httpx.Client, headers: dict[str, str], **changes: object) -> dict[str, Any]:
    answer = api.post("/entries", json=ENTRY | changes, headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_registering_does_not_tell_the_password(api: httpx.Client) -> None:
    answer = api.post("/auth/register", json={"username": "cat", "password": "whiskers123"})

    assert answer.status_code == 201
    assert answer.json()["username"] == "cat"
    assert "whiskers123" not in answer.text


@pytest.mark.usefixtures("ann")
def test_a_name_is_taken_once(api: httpx.Client) -> None:
    again = {"username": "ann", "password": "another password"}

    assert api.post("/auth/register", json=again).status_code == 409


@pytest.mark.usefixtures("ann")
def test_a_wrong_password_gets_no_token(api: httpx.Client) -> None:
    wrong = {"username": "ann", "password": "not the password"}

    assert api.post("/auth/login", json=wrong).status_code == 401
    assert api.post("/auth/login", json=wrong | {"username": "nobody"}).status_code == 401


def test_the_token_tells_who_its_owner_is(
    api: httpx.Client, ann: dict[str, str], bob: dict[str, str]
) -> None:
    assert api.get("/auth/me", headers=ann).json()["username"] == "ann"
    assert api.get("/auth/me", headers=bob).json()["username"] == "bob"
    assert api.get("/auth/me").status_code == 401


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer forged"}])
def test_without_a_token_nothing_is_read_or_written(
    api: httpx.Client, headers: dict[str, str]
) -> None:
    assert api.get("/entries", headers=headers).status_code == 401
    assert api.post("/entries", json=ENTRY, headers=headers).status_code == 401
    assert api.get("/entries/e-1", headers=headers).status_code == 401


def test_the_health_is_public(api: httpx.Client) -> None:
    assert api.get("/health").status_code == 200


def test_an_entry_is_kept(api: httpx.Client, ann: dict[str, str]) -> None:
    entry = written(api, ann)

    read = api.get(f"/entries/{entry['entry_id']}", headers=ann).json()

    assert {key: read[key] for key in ENTRY} == ENTRY


def test_the_entries_of_others_are_invisible(
    api: httpx.Client, ann: dict[str, str], bob: dict[str, str]
) -> None:
    path = f"/entries/{written(api, ann)['entry_id']}"

    assert api.get(path, headers=bob).status_code == 404
    assert api.patch(path, json={"mood": "sad"}, headers=bob).status_code == 404
    assert api.delete(path, headers=bob).status_code == 404
    assert api.get("/entries", headers=bob).json() == {"entries": [], "total": 0}
    assert api.get(path, headers=ann).json()["mood"] == "fine"


def test_entries_are_found_by_mood_and_by_words(api: httpx.Client, ann: dict[str, str]) -> None:
    odd = written(api, ann, mood="odd", title="A giraffe!")

    by_mood = api.get("/entries", params={"mood": "odd"}, headers=ann).json()
    by_words = api.get("/entries", params={"q": "giraffe"}, headers=ann).json()

    assert [entry["entry_id"] for entry in by_mood["entries"]] == [odd["entry_id"]]
    assert [entry["entry_id"] for entry in by_words["entries"]] == [odd["entry_id"]]


def test_an_entry_is_changed_and_deleted_by_its_writer(
    api: httpx.Client, ann: dict[str, str]
) -> None:
    path = f"/entries/{written(api, ann)['entry_id']}"

    changed = api.patch(path, json={"mood": "happy"}, headers=ann)

    assert changed.status_code == 200
    read = api.get(path, headers=ann).json()
    assert (read["mood"], read["title"]) == ("happy", "Tuesday")
    assert api.delete(path, headers=ann).status_code == 204
    assert api.get(path, headers=ann).status_code == 404
