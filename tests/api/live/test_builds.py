import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.api.live.running import ENDED, Client
from tests.fixtures.shapes import EXAMPLES, missing

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def completed(client: Client, spec: Path) -> str:
    """A build that went well."""
    build_id = client.submit(spec, metadata={"lines": 3})
    assert client.ended(build_id)["status"] == "completed"
    return build_id


def events_of(client: Client, build_id: str) -> list[dict[str, Any]]:
    with connect(client.stream_url(build_id)) as stream:
        return [json.loads(message) for message in stream]


def error_of(answer: Any) -> str:  # noqa: ANN401 - an HTTP answer
    body = answer.json()
    assert body["status"] == "error"
    assert set(body["error"]) == {"code", "message", "details"}
    return str(body["error"]["code"])


def test_a_submission_is_answered_as_specified(client: Client, spec: Path) -> None:
    answer = client.http.post(
        "/builds/submit",
        json={**EXAMPLES["POST /builds/submit"][0], "spec_path": str(spec)},
    )

    body = answer.json()
    assert answer.status_code == 200
    assert missing(EXAMPLES["POST /builds/submit"][1], body) == []
    assert body["queue_position"] >= 1
    assert body["stream_url"] == client.stream_url(body["build_id"])
    assert client.ended(body["build_id"])["service_name"] == "notes"


def test_a_builds_status_has_every_specified_field(client: Client, completed: str) -> None:
    job = client.status(completed)

    expected = EXAMPLES["GET /builds/{build_id}/status"][0]
    assert (
        missing({**expected, "estimated_completion": None}, job)
        == [".phases.code_generation.progress is absent"]
        or missing({**expected, "estimated_completion": None, "artifacts": []}, job) == []
    )
    assert list(job["phases"]) == list(expected["phases"])
    assert job["progress_percent"] == 100
    assert job["deployment_urls"] == {"local": "http://127.0.0.1:9"}
    assert "build.json" in job["artifacts"]


def test_the_stream_of_a_real_build_is_complete_and_in_the_specified_form(
    client: Client, completed: str
) -> None:
    events = events_of(client, completed)

    kinds = [event["event_type"] for event in events if event["event_type"] != "log"]
    assert kinds == ["phase_start", *["progress"] * 3, "phase_complete", "end"]
    assert events[-1]["status"] == "completed"
    assert len({event.get("id") for event in events}) == len(events)


def test_the_list_has_the_specified_fields_and_real_counts(client: Client, completed: str) -> None:
    body = client.http.get("/builds", params={"status": "completed", "limit": 100}).json()

    counts = ["queued", "running", "awaiting_approval", "completed", "failed", "cancelled"]
    assert missing(EXAMPLES["GET /builds"][0], body) == []
    assert body["total"] == sum(body[name] for name in counts)
    assert len(body["builds"]) == body["completed"]
    assert completed in {build["build_id"] for build in body["builds"]}
    assert {build["status"] for build in body["builds"]} == {"completed"}


def test_the_list_is_filtered_by_service_and_read_page_by_page(
    client: Client, completed: str
) -> None:
    of_service = client.http.get("/builds", params={"service_name": "notes"}).json()
    of_another = client.http.get("/builds", params={"service_name": "nobody"}).json()
    second = client.http.get("/builds", params={"limit": 1, "offset": 1}).json()

    assert completed in {build["build_id"] for build in of_service["builds"]}
    assert (of_another["builds"], of_another["total"]) == ([], 0)
    assert second["builds"] == client.http.get("/builds?limit=2").json()["builds"][1:]


def test_an_approved_build_goes_on(client: Client, spec: Path) -> None:
    build_id = client.submit(spec, metadata={"approval": True})
    waiting = client.until(build_id, "awaiting_approval", *ENDED)

    answer = client.http.post(
        f"/builds/{build_id}/approve", json=EXAMPLES["POST /builds/{build_id}/approve"][0]
    )

    assert waiting["approval"]["checkpoint"] == "before_deployment"
    assert answer.status_code == 200, answer.text
    assert missing(EXAMPLES["POST /builds/{build_id}/approve"][1], answer.json()) == []
    assert client.ended(build_id)["status"] == "completed"


def test_a_rejected_build_fails_and_says_so(client: Client, spec: Path) -> None:
    build_id = client.submit(spec, metadata={"approval": True})
    client.until(build_id, "awaiting_approval", *ENDED)

    answer = client.http.post(
        f"/builds/{build_id}/approve", json={"approved": False, "notes": "not now"}
    )

    assert answer.json()["next_phase"] is None
    assert client.ended(build_id)["error"] == "failed_approval: rejected: not now"


def test_a_running_build_is_cancelled(client: Client, spec: Path) -> None:
    build_id = client.submit(spec, metadata={"seconds": 60, "lines": 100})
    client.until(build_id, "running")

    answer = client.http.post(f"/builds/{build_id}/cancel", json={"reason": "wrong SPEC"})

    assert answer.status_code == 200
    assert missing(EXAMPLES["POST /builds/{build_id}/cancel"][0], answer.json()) == []
    assert answer.json()["cancellation_reason"] == "wrong SPEC"
    assert events_of(client, build_id)[-1]["status"] == "cancelled"
    assert client.status(build_id)["completed_at"] is not None


def test_a_failed_build_carries_its_error_state(client: Client, spec: Path) -> None:
    build_id = client.submit(spec, metadata={"fails": "failed_build"})

    job = client.ended(build_id)

    assert job["error"] == "failed_build: as the script says"
    assert events_of(client, build_id)[-1]["error_state"] == "failed_build"


def test_a_roll_back_is_done_once_however_often_it_is_asked_for(client: Client, spec: Path) -> None:
    build_id = client.submit(spec)
    assert client.ended(build_id)["rollback_available"]

    with ThreadPoolExecutor(3) as pool:
        paths = [f"/builds/{build_id}/rollback"] * 3
        answers = [answer.json() for answer in pool.map(client.http.post, paths)]
    again = client.http.post(paths[0]).json()

    assert missing(EXAMPLES["POST /builds/{build_id}/rollback"][0], answers[0]) == []
    assert "success" in {answer["rollback_status"] for answer in answers}
    assert again["rollback_status"] == "not_needed"
    assert {answer["live_release"] for answer in (*answers, again)} == {again["live_release"]}
    assert again["previous_version_restored"]
    assert again["proof"]["good_answers"] == 5
    assert not client.status(build_id)["rollback_available"]


def test_the_same_idempotency_key_is_the_same_build(client: Client, spec: Path) -> None:
    body, headers = {"spec_path": str(spec)}, {"Idempotency-Key": f"once-{spec.stat().st_ino}"}
    first = client.http.post("/builds/submit", json=body, headers=headers).json()

    again = client.http.post("/builds/submit", json=body, headers=headers).json()
    other = client.http.post(
        "/builds/submit", json={**body, "auto_register": False}, headers=headers
    )

    assert again["build_id"] == first["build_id"]
    assert (other.status_code, error_of(other)) == (409, "IDEMPOTENCY_CONFLICT")


def test_many_submissions_at_once_are_all_accepted(client: Client, spec: Path) -> None:
    with ThreadPoolExecutor(15) as pool:
        ids = list(pool.map(lambda _: client.submit(spec), range(15)))

    for build_id in ids:
        client.http.post(f"/builds/{build_id}/cancel")
    assert len(set(ids)) == 15
    assert all(client.ended(build_id)["status"] in ENDED for build_id in ids)


def test_what_is_over_cannot_be_changed_any_more(client: Client, completed: str) -> None:
    approve = client.http.post(f"/builds/{completed}/approve", json={"approved": True})
    cancel = client.http.post(f"/builds/{completed}/cancel")

    for answer in (approve, cancel):
        assert (answer.status_code, error_of(answer)) == (409, "WRONG_STATE")
        assert answer.json()["error"]["details"] == {"current_status": "completed"}


def test_a_build_that_replaced_nothing_cannot_be_rolled_back(client: Client, spec: Path) -> None:
    build_id = client.submit(spec, metadata={"fails": "failed_verification"})
    client.ended(build_id)

    answer = client.http.post(f"/builds/{build_id}/rollback")

    assert (answer.status_code, error_of(answer)) == (409, "WRONG_STATE")


def test_artifacts_are_listed_and_read(client: Client, completed: str) -> None:
    listed = client.http.get(f"/builds/{completed}/artifacts").json()["artifacts"]
    record = client.http.get(f"/builds/{completed}/artifacts/build.json")

    assert "build.json" in {item["name"] for item in listed}
    assert record.json()["build_id"] == completed


@pytest.mark.parametrize("name", ["nothing.json", "..%2f..%2fetc%2fpasswd", ".hidden", "%00"])
def test_only_artifacts_are_read(client: Client, completed: str, name: str) -> None:
    answer = client.http.get(f"/builds/{completed}/artifacts/{name}")

    assert answer.status_code == 404
    error_of(answer)
