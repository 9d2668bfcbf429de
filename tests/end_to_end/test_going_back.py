"""Back to what worked: asked for by an operator, or because a build was killed."""

import fcntl
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from build_executor.models import BuildRecord
from build_executor.targets.state import ServiceState
from tests.end_to_end.stack import ROOT, Stack
from tests.end_to_end.test_builds import live, release_of
from tests.fakes.load import Load

pytestmark = pytest.mark.full


def test_an_operator_rolls_back_a_build_that_worked(
    stack: Stack, notes: Callable[[str], str]
) -> None:
    url, _ = live(stack, notes("1.0.0"))
    first = release_of(url)
    _, second = live(stack, notes("1.1.0"))

    answer = stack.http.post(f"/builds/{second['build_id']}/rollback")
    again = stack.http.post(f"/builds/{second['build_id']}/rollback").json()

    assert answer.status_code == 200, answer.text
    proof = answer.json()["proof"]
    assert (proof["release"], proof["url"], proof["good_answers"]) == (first, url, 5)
    assert "GET /notes" in {check["name"] for check in proof["checks"] if check["passed"]}
    assert proof["availability"]["failed"] == 0
    assert (again["rollback_status"], again["live_release"]) == ("not_needed", first)
    assert answer.json()["rollback_status"] == "success"
    assert answer.json()["previous_version_restored"] is True
    assert answer.json()["service_health"] == "active"
    assert release_of(url) == first


def test_a_killed_build_is_failed_and_cleaned_up(stack: Stack, notes: Callable[[str], str]) -> None:
    url, _ = live(stack, notes("1.0.0"))
    before = release_of(url)
    build_id = stack.submit(notes("1.1.0"))
    stack.until(build_id, lambda build: build["phases"]["build"]["status"] == "running")
    record = record_of(stack, build_id)
    children = psutil.Process(record.owner.pid).children(recursive=True)

    os.kill(record.owner.pid, signal.SIGKILL)
    build = stack.finished(build_id, within=240)

    assert build["status"] == "failed"
    assert release_of(url) == before
    assert psutil.wait_procs(children, timeout=60)[1] == []


def test_a_build_killed_while_its_release_is_guarded_gives_the_traffic_back(
    stack: Stack, notes: Callable[[str], str]
) -> None:
    url, first = live(stack, notes("1.0.0"))
    before = release_of(url)
    build_id = submit_in_prefect(stack, notes("1.1.0"), GUARD_SECONDS="60")
    stack.until(build_id, lambda build: build["phases"]["deployment"]["progress"] >= 80)
    record = record_of(stack, build_id)
    guarded = release_of(url)

    with Load(url) as load:
        os.kill(record.owner.pid, signal.SIGKILL)
        build = stack.rolled_back(build_id)

    assert guarded != before
    assert load.failures == []
    assert (build["status"], build["error_state"]) == ("failed", "failed_deployment")
    assert (build["rollback"]["rollback_status"], release_of(url)) == ("success", before)
    assert "service-local.log" in build["artifacts"]
    assert_only(before, stack.home / "var" / "services" / str(first["service_name"]))
    assert processes_with(guarded) == []


def assert_only(release_id: str, service: Path) -> None:
    """Of the service nothing but this release is left, and its lock is free."""
    assert [path.name for path in (service / "releases").iterdir()] == [release_id]
    state = ServiceState.model_validate_json((service / "state.json").read_bytes())
    assert (state.live, state.switching) == (release_id, None)
    with (service / "deploy.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def submit_in_prefect(stack: Stack, spec_path: str, **environment: str) -> str:
    """Run the deployment from Prefect's own command line, with settings of its own; the build."""
    before = {build["build_id"] for build in stack.http.get("/builds").json()["builds"]}
    request = json.dumps({"spec_path": spec_path})
    variables = json.dumps({"PYTHONPATH": str(ROOT), **environment})
    arguments = ("--param", f"request={request}", "--job-variable", f"env={variables}")
    stack.run("prefect", "deployment", "run", "build-service/local", *arguments)
    builds = stack.http.get("/builds").json()["builds"]
    return str(*({build["build_id"] for build in builds} - before))


def record_of(stack: Stack, build_id: str) -> BuildRecord:
    file = stack.home / "var" / "artifacts" / build_id / "build.json"
    return BuildRecord.model_validate_json(file.read_bytes())


def processes_with(release_id: str) -> list[int]:
    """The processes that run this release."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "cwd"])
        if release_id in " ".join([*(process.info["cmdline"] or []), process.info["cwd"] or ""])
    ]
