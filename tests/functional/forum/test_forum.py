"""A forum: OpenAPI in JSON with wrapped answers, camelCase, and posts inside threads."""

from typing import Any

import httpx
import pytest

THREAD = {"title": "Hello", "authorName": "ann"}


def thread(api: httpx.Client, **changes: object) -> dict[str, Any]:
    answer = api.post("/threads", json=THREAD | changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


def post(api: httpx.Client, thread_id: str, **changes: object) -> dict[str, Any]:
    answer = api.post(f"/threads/{thread_id}/posts", json={"text": "Hi"} | changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


def test_a_thread_is_wrapped_and_kept_with_its_defaults(api: httpx.Client) -> None:
    made = thread(api)

    assert api.get(f"/threads/{made['threadId']}").json()["data"] == made
    assert (made["status"], made["tags"], made["pinned"]) == ("open", [], False)
    assert made["createdAt"].startswith("20")


@pytest.mark.parametrize("wrong", [{"title": ""}, {"authorName": None}, {"tags": "x"}])
def test_a_thread_that_breaks_the_schema_is_refused_as_documented(
    api: httpx.Client, wrong: dict[str, object]
) -> None:
    assert api.post("/threads", json=THREAD | wrong).status_code in {400, 422}


def test_threads_are_paged_with_the_numbers_in_meta(api: httpx.Client) -> None:
    for _ in range(3):
        thread(api, authorName="pager")

    asked: dict[str, str | int] = {"authorName": "pager", "pageSize": 2, "page": 2}
    page = api.get("/threads", params=asked).json()

    assert len(page["data"]) == 1
    assert page["meta"] == {"total": 3, "page": 2, "pageSize": 2}


def test_threads_are_found_by_one_of_their_tags(api: httpx.Client) -> None:
    tagged = thread(api, tags=["rare", "other"])
    thread(api, tags=["other"])

    found = api.get("/threads", params={"tag": "rare"}).json()["data"]

    assert [one["threadId"] for one in found] == [tagged["threadId"]]


def test_threads_are_found_by_their_time(api: httpx.Client) -> None:
    first = thread(api, authorName="clock")
    thread(api, authorName="clock")

    def found(moment: str) -> int:
        asked = {"authorName": "clock", "createdAfter": moment}
        return len(api.get("/threads", params=asked).json()["data"])

    assert found("2020-01-01T00:00:00Z") == 2
    assert found("2999-01-01T00:00:00Z") == 0
    assert first["createdAt"] > "2020"


def test_a_thread_is_edited_in_part_and_deleted(api: httpx.Client) -> None:
    path = f"/threads/{thread(api)['threadId']}"

    edited = api.patch(path, json={"pinned": True}).json()["data"]

    assert (edited["pinned"], edited["title"]) == (True, "Hello")
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_a_thread_is_locked_once(api: httpx.Client) -> None:
    path = f"/threads/{thread(api)['threadId']}"

    assert api.post(f"{path}/lock").json()["data"]["status"] == "locked"
    assert api.post(f"{path}/lock").status_code == 409


def test_posts_live_in_their_thread(api: httpx.Client) -> None:
    one, other = thread(api)["threadId"], thread(api)["threadId"]
    made = post(api, one, attachment={"kind": "image", "width": 3})
    path = f"/threads/{one}/posts/{made['postId']}"

    assert made["threadId"] == one
    assert api.get(path).json()["data"]["attachment"] == {"kind": "image", "width": 3}
    assert api.get(f"/threads/{other}/posts/{made['postId']}").status_code == 404
    assert [p["postId"] for p in api.get(f"/threads/{one}/posts").json()] == [made["postId"]]
    assert api.get("/threads/none/posts").status_code == 404
    assert api.put(path, json={"text": "Edited"}).json()["data"]["text"] == "Edited"
    assert "attachment" not in api.get(path).json()["data"]
    assert api.delete(path).status_code == 204
    assert api.get(f"/threads/{one}/posts").json() == []


@pytest.mark.parametrize(
    "attachment", [{"kind": "image"}, {"kind": "link", "width": 2}, {"kind": "image", "width": 0}]
)
def test_an_attachment_is_one_of_the_kinds(
    api: httpx.Client, attachment: dict[str, object]
) -> None:
    path = f"/threads/{thread(api)['threadId']}/posts"

    answer = api.post(path, json={"text": "Look", "attachment": attachment})

    assert answer.status_code in {400, 422}
