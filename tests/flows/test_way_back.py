"""What goes wrong after verification, and what is left then: nothing, or the old release."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest
from prefect import State, flow

from build_executor.artifacts import ROLLBACK_REPORT, ArtifactStore
from build_executor.deployment import describe
from build_executor.errors import ApprovalFailed
from build_executor.models import BuildRequest, RollbackReport
from build_executor.phases import ApprovalMode, Checkpoint
from build_executor.settings import Settings, load
from build_executor.targets import Target, open_targets
from build_executor.targets.local import local_supervisor_down
from flows.build_service import build_service
from flows.checkpoints import checkpoint
from flows.rebuild_changed import rebuild_changed
from flows.roll_back_service import roll_back_service

pytestmark = pytest.mark.full

SERVICE = "flow-notes"


@pytest.fixture(autouse=True)
def _end_services(settings: Settings) -> Iterator[None]:
    yield
    local_supervisor_down(settings)


def build(spec_path: str, **request: object) -> State[object]:
    asked = BuildRequest.model_validate({"spec_path": spec_path, **request})
    return build_service(asked, return_state=True)  # type: ignore[return-value]


def newest_report(settings: Settings) -> RollbackReport | None:
    store = ArtifactStore(settings.artifacts)
    return store.read_value(store.build_ids()[0], ROLLBACK_REPORT, RollbackReport)


def test_a_registry_that_is_down_fails_the_registration_and_nothing_stays(
    settings: Settings,
    spec_path: str,
    unused_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REGISTRY_URL", f"http://127.0.0.1:{unused_port}")

    state = build(spec_path)

    report = newest_report(settings)
    assert state.name == "failed_registration"
    assert f"127.0.0.1:{unused_port}" in (state.message or "")
    assert report is not None
    assert (report.rollback_status, report.service_health) == ("success", "absent")
    assert describe(SERVICE, open_targets("local", settings)[0]) is None


def test_a_public_port_that_is_taken_fails_the_deployment_and_is_named(
    settings: Settings, spec_path: str, spec_port: int
) -> None:
    with closing(socket.create_server(("127.0.0.1", spec_port))):
        state = build(spec_path)

    assert state.name == "failed_deployment"
    assert str(spec_port) in (state.message or "")
    assert describe(SERVICE, open_targets("local", settings)[0]) is None


def test_a_release_that_crashes_after_its_switch_fails_the_deployment(
    settings: Settings, spec_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUARD_SECONDS", "60")
    (target,) = open_targets("local", settings)
    killer = threading.Thread(
        target=kill_what_is_live, args=(target, settings.services), daemon=True
    )
    killer.start()

    state = build(spec_path)

    killer.join(10)
    assert state.name == "failed_deployment"
    assert "s after the switch on local: " in (state.message or "")
    assert describe(SERVICE, target) is None


def kill_what_is_live(target: Target, services: Path) -> None:
    """Wait until something is live, and let its process crash."""
    while describe(SERVICE, target) is None:
        time.sleep(0.1)
    folder = str(services / SERVICE / "releases")
    for process in psutil.process_iter(["cmdline"]):
        if any(part.startswith(folder) for part in process.info["cmdline"] or ()):
            process.kill()


@pytest.mark.usefixtures("settings")
def test_production_that_is_not_configured_fails_the_deployment_with_the_reason(
    spec_path: str,
) -> None:
    state = build(spec_path, deploy_local=False, deploy_production=True)

    assert state.name == "failed_deployment"
    assert "not configured" in (state.message or "")


def test_what_is_live_here_goes_when_production_is_asked_for_in_vain(
    settings: Settings, spec_path: str
) -> None:
    state = build(spec_path, deploy_production=True)

    report = newest_report(settings)
    assert state.name == "failed_deployment"
    assert report is not None
    assert (report.rollback_status, report.service_health) == ("success", "absent")
    assert describe(SERVICE, open_targets("local", settings)[0]) is None


def test_a_build_is_rolled_back_by_its_id_and_twice_is_as_good_as_once(
    settings: Settings, spec_path: str, spec_port: int
) -> None:
    assert build(spec_path).is_completed()
    first = httpx.get(f"http://127.0.0.1:{spec_port}/health", timeout=60).json()["release"]
    with open(spec_path, encoding="utf-8") as file:  # noqa: PTH123 - spec_path is text here
        text = file.read()
    with open(spec_path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text.replace("1.0.0", "1.1.0"))
    assert build(spec_path).is_completed()
    newest = ArtifactStore(settings.artifacts).build_ids()[0]

    once, twice = roll_back_service(newest), roll_back_service(newest)

    assert (once.rollback_status, twice.rollback_status) == ("success", "not_needed")
    assert newest_report(settings) == once
    for proof in (once.proof, twice.proof):
        assert proof is not None
        assert proof.release == first
        assert "GET /notes" in {check.name for check in proof.checks if check.passed}
    assert httpx.get(f"http://127.0.0.1:{spec_port}/health", timeout=60).json()["release"] == first


def test_a_checkpoint_that_nobody_answers_ends_the_wait(settings: Settings) -> None:
    @flow
    def waits() -> str:
        try:
            checkpoint(
                Checkpoint.BEFORE_DEPLOYMENT, ApprovalMode.FINAL, timeout=2, evidence="a release"
            )
        except ApprovalFailed as error:
            return str(error)
        return "approved"

    state = waits(return_state=True)

    assert load() == settings
    assert state.is_failed()
    assert "never resumed" in (state.message or "")


def test_nothing_is_rebuilt_where_no_spec_has_changed(spec_path: str) -> None:
    build(spec_path, auto_register=False)

    assert rebuild_changed() == []
