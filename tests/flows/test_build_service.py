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
