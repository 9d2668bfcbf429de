"""To-do lists: backtick lines, PUT against PATCH, soft deletion, batches."""

from typing import Any
from uuid import UUID

import httpx
import pytest

MOMENT = "2026-06-01T08:00:00Z"


def task(api: httpx.Client, title: str = "Sleep", **fields: object) -> dict[str, Any]:
    answer = api.post("/tasks", json={"title": title, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_task_has_a_uuid_and_the_documented_defaults(api: httpx.Client) -> None:
    made = task(api, "Defaults")

    assert UUID(made["id"])
    assert (made["title"], made["done"], made["priority"]) == ("Defaults", False, 3)


def test_nested_values_survive(api: httpx.Client) -> None:
    made = task(api, labels=["x", "y"], reminder={"at": MOMENT, "channel": "push"})

    read = api.get(f"/tasks/{made['id']}").json()

    assert read["labels"] == ["x", "y"]
    assert read["reminder"]["channel"] == "push"


@pytest.mark.parametrize(
    "wrong",
    [
        {"priority": 0},
        {"priority": 6},
        {"title": ""},
        {"title": "x" * 81},
        {"done": "maybe"},
        {"labels": [1, 2]},
        {"reminder": {"at": MOMENT, "channel": "pigeon"}},
    ],
)
def test_a_value_out_of_its_bounds_is_refused(api: httpx.Client, wrong: dict[str, object]) -> None:
    assert api.post("/tasks", json={"title": "Fine"} | wrong).status_code == 422


def test_tasks_are_filtered_by_a_boolean(api: httpx.Client) -> None:
    done, todo = task(api, done=True), task(api)

    finished = api.get("/tasks", params={"done": "true", "page_size": 100}).json()["items"]

    ids = {entry["id"] for entry in finished}
    assert done["id"] in ids
    assert todo["id"] not in ids


def test_tasks_are_filtered_by_a_label(api: httpx.Client) -> None:
    labelled = task(api, labels=["rare", "other"])
    task(api, labels=["other"])

    found = api.get("/tasks", params={"label": "rare"}).json()["items"]

    assert [entry["id"] for entry in found] == [labelled["id"]]


def test_tasks_are_sorted_as_asked(api: httpx.Client) -> None:
    for priority in (2, 5, 1):
        task(api, labels=["sorted"], priority=priority)

    def priorities(order: str) -> list[int]:
        asked = {"label": "sorted", "sort": "priority", "order": order}
        return [entry["priority"] for entry in api.get("/tasks", params=asked).json()["items"]]

    assert priorities("asc") == [1, 2, 5]
    assert priorities("desc") == [5, 2, 1]


def test_pages_are_numbered_from_one(api: httpx.Client) -> None:
    for _ in range(3):
        task(api, labels=["paged"])

    asked: dict[str, str | int] = {"label": "paged", "page_size": 2}
    first = api.get("/tasks", params=asked | {"page": 1}).json()
    second = api.get("/tasks", params=asked | {"page": 2}).json()

    assert (len(first["items"]), len(second["items"])) == (2, 1)
    assert (second["page"], second["page_size"], second["total"]) == (2, 2, 3)


def test_patch_changes_only_what_is_sent(api: httpx.Client) -> None:
    made = task(api, "Once", priority=5, labels=["keep"])

    changed = api.patch(f"/tasks/{made['id']}", json={"done": True})

    assert changed.status_code == 200
    assert (changed.json()["done"], changed.json()["priority"]) == (True, 5)
    assert changed.json()["labels"] == ["keep"]


def test_put_sets_what_is_left_out_to_its_default(api: httpx.Client) -> None:
    made = task(api, "Once", priority=5, done=True)

    changed = api.put(f"/tasks/{made['id']}", json={"title": "Twice"})

    assert changed.status_code == 200
    read = api.get(f"/tasks/{made['id']}").json()
    assert (read["title"], read["priority"], read["done"]) == ("Twice", 3, False)
    assert read["created_at"] == made["created_at"]
    assert api.put(f"/tasks/{made['id']}", json={}).status_code == 422


def test_a_deleted_task_disappears_from_the_list(api: httpx.Client) -> None:
    made = task(api, labels=["doomed"])

    deleted = api.delete(f"/tasks/{made['id']}")

    assert deleted.status_code == 200
    assert deleted.json()["status"] == "deleted"
    assert deleted.json()["id"] == made["id"]
    assert api.get("/tasks", params={"label": "doomed"}).json()["total"] == 0


def test_several_tasks_are_created_at_once(api: httpx.Client) -> None:
    before = api.get("/tasks").json()["total"]

    made = api.post(
        "/tasks/batch", json={"tasks": [{"title": "A"}, {"title": "B"}, {"title": "C"}]}
    )

    assert made.status_code == 201
    assert made.json()["created"] == 3
    assert [entry["title"] for entry in made.json()["tasks"]] == ["A", "B", "C"]
    assert api.get("/tasks").json()["total"] == before + 3
    first = made.json()["tasks"][0]
    assert api.get(f"/tasks/{first['id']}").json()["title"] == "A"


def test_unknown_tasks_are_not_found(api: httpx.Client) -> None:
    path = "/tasks/00000000-0000-4000-8000-000000000000"

    assert api.get(path).status_code == 404
    assert api.patch(path, json={"done": True}).status_code == 404
    assert api.delete(path).status_code == 404
