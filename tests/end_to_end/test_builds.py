"""The main job, for real: what an operator, a mesh service and a crash can do to a build."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from build_executor.phases import Phase
from tests.end_to_end.stack import ROOT, Stack
from tests.ports import free_port

pytestmark = pytest.mark.full

PAYMENT_PROCESSOR = ROOT / "examples" / "payment-processor" / "SPEC.md"

# Only the instance that would take traffic has its data in the service's shared folder.
NEVER_HEALTHY_WHEN_LIVE = """
import os
if "shared" in os.environ.get("DATA_DIR", ""):
    raise SystemExit("sabotaged by a test")
"""
BROKEN_BUSINESS_WHEN_LIVE = """
import os
if "shared" in os.environ.get("DATA_DIR", ""):
    def sabotage(*_given):
        raise RuntimeError("sabotaged by a test")
    globals().update({name: sabotage for name in list(globals()) if "note" in name})
"""


def sabotage(stack: Stack, build_id: str, code: str) -> None:
    """In the one file of the code that a person may change."""
    logic = stack.home / "var" / "builds" / build_id / "source" / "app" / "logic.py"
    logic.write_text(logic.read_text(encoding="utf-8") + code, encoding="utf-8")


def approve(stack: Stack, build_id: str, *, approved: bool = True) -> httpx.Response:
    answer = {"approved": approved, "notes": "said by a test"}
    return stack.http.post(f"/builds/{build_id}/approve", json=answer)


def without_reading(spec_path: str) -> str:
    """The SPEC without `GET /notes/{note_id}`; its path."""
    path = Path(spec_path)
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition("### GET /notes/{note_id}")
    path.write_text(before + rest[rest.index("### ") :], encoding="utf-8")
    return spec_path


def live(stack: Stack, spec_path: str) -> tuple[str, dict[str, object]]:
    """Build the SPEC to the end; the service's address and the finished build."""
    build = stack.finished(stack.submit(spec_path))
    assert build["status"] == "completed", build
    return build["deployment_urls"]["local"], build


def release_of(url: str) -> str:
    return str(httpx.get(f"{url}/health", timeout=60).json()["release"])


def test_the_example_becomes_a_running_service(stack: Stack) -> None:
    text = PAYMENT_PROCESSOR.read_text(encoding="utf-8").replace("8350", str(free_port()))
    build_id = stack.submit(stack.write_spec("payment-processor", text))

    events = list(stack.events(build_id))
    build = stack.status(build_id)

    started = [event["phase"] for event in events if event["event_type"] == "phase_start"]
    assert started == [phase.value for phase in Phase if phase is not Phase.QUEUED]
    assert events[-1]["status"] == build["status"] == "completed"
    assert {phase["status"] for phase in build["phases"].values()} == {"completed"}
    assert list(build["phases"]) == [phase.value for phase in Phase]
    health = httpx.get(build["deployment_urls"]["local"] + "/health", timeout=60).json()
    assert health["status"] == "active"
    assert {"build.log", "check.json", "contract.json", "source.tar.gz", "SPEC.md"} <= set(
        build["artifacts"]
    )


def test_a_redeploy_keeps_the_data(stack: Stack, notes: Callable[[str], str]) -> None:
    url, _ = live(stack, notes("1.0.0"))
    note = httpx.post(
        f"{url}/notes", json={"title": "milk", "text": "two litres"}, timeout=60
    ).json()
    before = release_of(url)

    again, _ = live(stack, notes("1.1.0"))

    assert again == url
    assert release_of(url) != before
    assert httpx.get(f"{url}/notes/{note['note_id']}", timeout=60).json() == note


@pytest.mark.parametrize("damage", [NEVER_HEALTHY_WHEN_LIVE, BROKEN_BUSINESS_WHEN_LIVE])
def test_a_broken_deploy_leaves_the_old_version_live(
    stack: Stack, notes: Callable[[str], str], damage: str
) -> None:
    url, _ = live(stack, notes("1.0.0"))
    before = release_of(url)
    build_id = stack.submit(notes("1.1.0"), approval_mode="checkpoints")
    stack.awaiting(build_id)
    sabotage(stack, build_id, damage)

    approve(stack, build_id)
    stack.until(build_id, lambda build: build["phases"]["verification"]["status"] == "completed")
    stack.awaiting(build_id)
    approve(stack, build_id)
    build = stack.finished(build_id)

    assert build["status"] == "failed"
    assert build["error_state"] == "failed_deployment"
    assert {"failure-local.json", "release.tar.gz", "service-local.log"} <= set(build["artifacts"])
    assert release_of(url) == before
    assert httpx.get(f"{url}/notes", timeout=60).status_code == 200


def test_a_rejected_build_changes_nothing(stack: Stack, notes: Callable[[str], str]) -> None:
    url, _ = live(stack, notes("1.0.0"))
    before = release_of(url)
    build_id = stack.submit(notes("1.1.0"), approval_mode="final")
    stack.awaiting(build_id)

    answer = approve(stack, build_id, approved=False)
    build = stack.finished(build_id)

    assert answer.status_code == 200
    assert build["status"] == "failed"
    assert build["error_state"] == "failed_approval"
    assert "said by a test" in build["error"]
    assert release_of(url) == before


def test_a_breaking_change_waits_for_an_approval_even_in_auto_mode(
    stack: Stack, notes: Callable[[str], str]
) -> None:
    url, _ = live(stack, notes("1.0.0"))
    before = release_of(url)
    rejected = stack.submit(without_reading(notes("2.0.0")), approval_mode="auto")
    waiting = stack.awaiting(rejected)

    approve(stack, rejected, approved=False)
    build = stack.finished(rejected)

    assert waiting["status"] == "awaiting_approval"
    assert waiting["approval"]["checkpoint"] == "breaking_change"
    assert waiting["approval"]["next_phase"] == "deployment"
    assert "GET /notes/{note_id}: is no longer there" in waiting["approval"]["breaks"][0]
    assert (build["status"], build["error_state"]) == ("failed", "failed_approval")
    assert "compatibility.json" in build["artifacts"]
    assert release_of(url) == before

    approved = stack.submit(without_reading(notes("2.0.0")), approval_mode="auto")
    stack.awaiting(approved)
    approve(stack, approved)

    assert stack.finished(approved)["status"] == "completed"
    assert release_of(url) != before


def test_a_first_deploy_that_is_approved_goes_live(
    stack: Stack, notes: Callable[[str], str]
) -> None:
    build_id = stack.submit(notes("1.0.0"), approval_mode="final")
    waiting = stack.awaiting(build_id)

    answer = approve(stack, build_id)
    build = stack.finished(build_id)

    assert waiting["status"] == "awaiting_approval"
    assert answer.json()["next_phase"] == "deployment"
    assert build["status"] == "completed"
    assert approve(stack, build_id).status_code == 409


def test_a_cancelled_build_leaves_the_old_version_live(
    stack: Stack, notes: Callable[[str], str]
) -> None:
    url, _ = live(stack, notes("1.0.0"))
    before = release_of(url)
    build_id = stack.submit(notes("1.1.0"))
    stack.until(build_id, lambda build: build["phases"]["build"]["status"] == "running")

    answer = stack.http.post(f"/builds/{build_id}/cancel", json={"reason": "changed my mind"})
    build = stack.until(build_id, lambda build: build["completed_at"] is not None)

    assert answer.json()["status"] == "cancelled"
    assert answer.json()["cancellation_reason"] == "changed my mind"
    assert build["status"] == "cancelled"
    assert release_of(url) == before
    assert not (stack.home / "var" / "builds" / build_id).exists()


def test_a_build_started_in_prefect_itself_is_a_build_like_any_other(
    stack: Stack, notes: Callable[[str], str]
) -> None:
    request = json.dumps({"spec_path": notes("1.0.0"), "deploy_local": False})
    before = {build["build_id"] for build in stack.http.get("/builds").json()["builds"]}
    argument = ("--param", f"request={request}")
    stack.run("prefect", "deployment", "run", "build-service/local", *argument)

    (build_id,) = {
        build["build_id"] for build in stack.http.get("/builds").json()["builds"]
    } - before
    build = stack.finished(build_id)

    assert build["status"] == "completed"
    assert build["service_name"].startswith("notes-")


def test_an_openapi_document_is_built_like_a_spec(stack: Stack) -> None:
    document = ROOT / "tests" / "functional" / "petshop" / "openapi.yaml"
    spec = stack.specs / "petshop.yaml"
    spec.write_bytes(document.read_bytes())

    build = stack.finished(stack.submit(str(spec), deploy_local=False))

    assert build["status"] == "completed", build["error"]
    assert "schemathesis.json" in build["artifacts"]


def test_a_document_that_is_no_spec_is_refused_with_the_reason(stack: Stack) -> None:
    plan = stack.write_spec("plan", "# A plan\n\nWe should build something nice.\n")

    answer = stack.http.post("/builds/submit", json={"spec_path": plan})

    assert answer.status_code == 422
    assert answer.json()["status"] == "error"
    assert answer.json()["error"]["message"]


def test_three_builds_run_at_once_and_the_fourth_waits(
    stack: Stack, notes: Callable[[str], str]
) -> None:
    ids = [stack.submit(notes(f"1.0.{n}"), deploy_local=False) for n in range(4)]

    statuses = [stack.status(build_id)["status"] for build_id in ids]
    builds = [stack.finished(build_id) for build_id in ids]

    assert "queued" in statuses
    assert {build["status"] for build in builds} == {"completed"}
    assert {build["phases"]["deployment"]["status"] for build in builds} == {"skipped"}
