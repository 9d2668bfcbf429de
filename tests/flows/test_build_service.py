"""The flow itself, against a real Prefect server, without a worker."""

from pathlib import Path

import pytest
from prefect import State

from build_executor.artifacts import ROLLBACK_REPORT, ArtifactStore
from build_executor.generators import GENERATORS
from build_executor.models import BuildRequest, RollbackReport
from build_executor.settings import Settings
from flows.build_service import build_service
from tests.fakes.generator import ForgetfulGenerator
from tests.fakes.http_server import Answer, Json
from tests.fakes.mesh import FakeSovereignFactory

pytestmark = pytest.mark.full


def build(spec_path: str, **request: object) -> State[object]:
    asked = BuildRequest.model_validate({"spec_path": spec_path, "deploy_local": False, **request})
    return build_service(asked, return_state=True)  # type: ignore[return-value]


def test_each_attempt_is_told_the_findings_of_the_last(
    settings: Settings, spec_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = ForgetfulGenerator(good_at=3)
    monkeypatch.setitem(GENERATORS, "compiler", generator)

    state = build(spec_path)

    assert state.is_completed(), state.message
    assert generator.told[0] == ()
    assert [findings[0].file for findings in generator.told[1:]] == ["app/main.py"] * 2
    assert not list(settings.builds.iterdir())


def test_a_third_bad_attempt_is_the_last(
    settings: Settings, spec_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = ForgetfulGenerator(good_at=4)
    monkeypatch.setitem(GENERATORS, "compiler", generator)

    state = build(spec_path)

    assert state.is_failed()
    assert state.name == "failed_code_generation"
    assert "app/main.py" in (state.message or "")
    assert len(generator.told) == 3
    assert not list(settings.builds.iterdir())


@pytest.mark.parametrize(
    ("text", "reason"),
    [("# A plan\n\nWe should build something nice.\n", "plan.md"), (None, "plan.md")],
)
@pytest.mark.usefixtures("settings")
def test_a_spec_that_cannot_be_built_fails_the_generation_with_the_reason(
    spec_path: str, text: str | None, reason: str
) -> None:
    plan = spec_path.replace("SPEC.md", "plan.md")
    if text is not None:
        Path(plan).write_text(text, encoding="utf-8")

    state = build(plan)

    assert state.name == "failed_code_generation"
    assert reason in (state.message or "")


def test_a_failed_build_keeps_a_report_of_its_way_back(settings: Settings, spec_path: str) -> None:
    state = build(spec_path.replace("SPEC.md", "missing.md"))

    store = ArtifactStore(settings.artifacts)
    reports = [store.read_value(i, ROLLBACK_REPORT, RollbackReport) for i in store.build_ids()]
    assert state.is_failed()
    assert [report.rollback_status for report in reports if report] == ["not_needed"]


def test_sovereign_factory_is_told_of_a_failure_once_the_report_is_on_record(
    settings: Settings, spec_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = ArtifactStore(settings.artifacts)

    class Witness(FakeSovereignFactory):
        def respond(self, method: str, path: str, body: Json) -> Answer:
            build_id = body["trace_id"]
            assert reports.read_value(build_id, ROLLBACK_REPORT, RollbackReport) is not None
            return super().respond(method, path, body)

    monkeypatch.setitem(GENERATORS, "compiler", ForgetfulGenerator(good_at=4))
    with Witness() as factory:
        monkeypatch.setenv("SOVEREIGN_FACTORY_URL", factory.url)
        state = build(spec_path)

    (message,) = factory.messages
    told = {name: message["payload"][name] for name in ("event", "service_name", "phase")}
    assert state.name == "failed_code_generation"
    assert told == {
        "event": "build_failed",
        "service_name": "flow-notes",
        "phase": "code_generation",
    }
    assert "the code is not Python" in message["payload"]["error"]
    assert message["payload"]["rollback_status"] == "not_needed"
