import json
import os
from pathlib import Path

import pytest

from build_executor.artifacts import BUILD_LOG, RELEASE_ARCHIVE, ArtifactStore
from build_executor.building import build_release, fix_build
from build_executor.errors import BuildFailed, CommandFailed
from build_executor.models import Finding, Workspace
from build_executor.phases import ErrorState
from build_executor.settings import Settings
from build_executor.spec.contract import Contract
from build_executor.trial import findings_of_tests
from build_executor.workspace import open_workspace
from tests.fakes.sandbox import FakeSandbox
from tests.fakes.wheels import make_wheel

CONTRACT = Contract(service="shop", version="1.2.0", port=8350)
REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" tests="3">
<testcase classname="tests.test_main" name="test_health" />
<testcase classname="tests.test_main" name="test_pay[EUR]"><failure message="assert 5 == 6">
def test_pay():
&gt;       assert 5 == 6
E       assert 5 == 6

tests/test_main.py:9: AssertionError</failure></testcase>
<testcase classname="tests.test_udc" name="test_state"><error message="fixture broke" /></testcase>
</testsuite></testsuites>
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(build_executor_home=tmp_path / "home")


@pytest.fixture
def workspace(settings: Settings) -> Workspace:
    workspace = open_workspace("b1", "shop", settings)
    (workspace.source / "main.py").write_text("app = 1\n")
    (workspace.source / "requirements.txt").write_text("# nothing\n")
    return workspace


def log_of(settings: Settings) -> str:
    return ArtifactStore(settings.artifacts).path("b1", BUILD_LOG).read_text()


def test_a_release_is_named_by_its_version_and_its_bytes(
    workspace: Workspace, settings: Settings
) -> None:
    release = build_release(workspace, CONTRACT, FakeSandbox(), settings)

    assert release.id == f"1.2.0-{release.digest[:12]}"
    assert (release.service, release.port, release.build_id) == ("shop", 8350, "b1")
    assert release.archive == settings.artifacts / "b1" / RELEASE_ARCHIVE
    assert (release.environment / "bin" / "python").exists()
    assert release.contract_file == workspace.contract_file


def test_the_same_source_is_the_same_release(workspace: Workspace, settings: Settings) -> None:
    first = build_release(workspace, CONTRACT, FakeSandbox(), settings)

    assert build_release(workspace, CONTRACT, FakeSandbox(), settings) == first


def test_the_tests_run_on_what_was_packed(workspace: Workspace, settings: Settings) -> None:
    sandbox = FakeSandbox()

    build_release(workspace, CONTRACT, sandbox, settings)

    confinement = sandbox.confinements[0]
    assert confinement.workdir == workspace.path / "staged"
    assert not confinement.host_network
    assert workspace.source not in (*confinement.readable, *confinement.writable)
    assert sandbox.commands[0][1:3] == ("-m", "pytest")


def test_what_was_said_is_kept_as_the_builds_log(workspace: Workspace, settings: Settings) -> None:
    build_release(workspace, CONTRACT, FakeSandbox(output="7 passed in 1.0s"), settings)

    assert "7 passed in 1.0s" in log_of(settings)


def test_tests_that_say_nothing_are_told_so(
    workspace: Workspace, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    build_release(workspace, CONTRACT, FakeSandbox(output="\n"), settings)

    assert "no output in fake sandbox" in caplog.text


def test_faults_that_ruff_finds_fail_the_build(workspace: Workspace, settings: Settings) -> None:
    (workspace.source / "main.py").write_text("import os\nprint(undefined)\n")

    with pytest.raises(BuildFailed, match="ruff found 2 faults") as failure:
        build_release(workspace, CONTRACT, FakeSandbox(), settings)

    assert failure.value.state is ErrorState.BUILD
    found = [(f.gate, f.rule, f.file, f.line) for f in failure.value.findings]
    assert found == [("ruff", "F401", "main.py", 1), ("ruff", "F821", "main.py", 2)]
    assert "F821" in log_of(settings)


def test_a_syntax_error_fails_the_build(workspace: Workspace, settings: Settings) -> None:
    (workspace.source / "main.py").write_text("def broken(:\n")

    with pytest.raises(BuildFailed) as failure:
        build_release(workspace, CONTRACT, FakeSandbox(), settings)

    assert {finding.rule for finding in failure.value.findings} == {"invalid-syntax"}


def test_a_linter_that_breaks_is_a_finding_too(workspace: Workspace, settings: Settings) -> None:
    (workspace.path / "ruff.json").mkdir()

    with pytest.raises(BuildFailed, match=r"\[ruff/failed\]"):
        build_release(workspace, CONTRACT, FakeSandbox(), settings)


def test_a_configuration_in_the_source_does_not_soften_the_linter(
    workspace: Workspace, settings: Settings
) -> None:
    (workspace.source / "ruff.toml").write_text('[lint]\nignore = ["F"]\n')
    (workspace.source / "main.py").write_text("import os\n")

    with pytest.raises(BuildFailed, match="F401"):
        build_release(workspace, CONTRACT, FakeSandbox(), settings)


def with_types(workspace: Workspace) -> None:
    (workspace.source / "app").mkdir()
    (workspace.source / "app" / "logic.py").write_text("total = 1\n")


def fault(code: str) -> str:
    place = {"file": "app/logic.py", "line": 1, "severity": "error"}
    return json.dumps({**place, "code": code, "message": "it is wrong"})


def test_faults_that_mypy_finds_fail_the_build(workspace: Workspace, settings: Settings) -> None:
    with_types(workspace)

    with pytest.raises(BuildFailed, match="mypy found 1 faults") as failure:
        build_release(workspace, CONTRACT, FakeSandbox(output=fault("assignment")), settings)

    assert [(f.gate, f.rule) for f in failure.value.findings] == [("mypy", "assignment")]
    assert "[mypy/assignment]" in log_of(settings)


def test_a_missing_annotation_is_only_told(
    workspace: Workspace, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with_types(workspace)

    build_release(workspace, CONTRACT, FakeSandbox(output=fault("type-arg")), settings)

    assert "[mypy/type-arg] it is wrong" in caplog.text


def test_failing_tests_are_findings(workspace: Workspace, settings: Settings) -> None:
    sandbox = FakeSandbox(exit_code=1, output="2 failed, 1 passed", report=REPORT)

    with pytest.raises(BuildFailed, match="2 tests failed in fake sandbox") as failure:
        build_release(workspace, CONTRACT, sandbox, settings)

    first, second = failure.value.findings
    assert (first.file, first.rule) == ("tests/test_main.py", "test_pay[EUR]")
    assert first.message.startswith("assert 5 == 6 / ")
    assert "tests/test_main.py:9: AssertionError" in first.message
    assert second.message == "fixture broke"
    assert "2 failed, 1 passed" in log_of(settings)


@pytest.mark.parametrize(
    ("exit_code", "rule", "message"),
    [(5, "no-tests", "exited with 5"), (4, "failed", "exited with 4"), (None, "failed", "time")],
)
def test_tests_that_do_not_run_are_a_finding(
    workspace: Workspace, settings: Settings, exit_code: int | None, rule: str, message: str
) -> None:
    with pytest.raises(BuildFailed, match=message) as failure:
        build_release(workspace, CONTRACT, FakeSandbox(exit_code=exit_code), settings)

    assert [finding.rule for finding in failure.value.findings] == [rule]


@pytest.mark.parametrize("trick", ["garbage", "link", "pipe", "bomb"])
def test_a_report_that_is_no_report_is_not_trusted(tmp_path: Path, trick: str) -> None:
    report = tmp_path / "tests.xml"
    match trick:
        case "garbage":
            report.write_text("<testsuites><oh")
        case "link":
            report.symlink_to("/etc/passwd")
        case "pipe":
            os.mkfifo(report)
        case _:
            levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 50}">' for n in range(1, 12))
            report.write_text(f'<!DOCTYPE d [<!ENTITY l0 "lol">{levels}]><d>&l11;</d>')

    findings = findings_of_tests(report, CommandFailed(("pytest",), 1, "one failed"))

    assert [finding.rule for finding in findings] == ["failed"]


def test_what_ruff_can_repair_is_repaired(workspace: Workspace, settings: Settings) -> None:
    (workspace.source / "main.py").write_text("import os\n\napp = 1\n")

    assert fix_build(workspace, (), settings)

    assert "import os" not in (workspace.source / "main.py").read_text()


def test_what_no_machine_can_repair_stays_as_it_is(
    workspace: Workspace, settings: Settings
) -> None:
    (workspace.source / "main.py").write_text("print(undefined)\n")

    assert not fix_build(workspace, (), settings)


def test_requirements_that_cannot_be_locked_are_no_repair(
    workspace: Workspace,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    (workspace.source / "requirements.txt").write_text("no-such-package-here\n")
    unlocked = Finding(gate="requirements", rule="unlocked", message="not pinned")

    assert not fix_build(workspace, (unlocked,), settings)

    assert "cannot be locked" in caplog.text


MISSING = Finding(gate="pytest", rule="test_x", message="No module named 'yaml'")


def test_a_missing_package_of_the_list_is_required_and_locked(
    workspace: Workspace, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_wheel(tmp_path / "wheels", "pyyaml", "x = 1\n", built="6.0.1-py3-none-any")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))

    assert fix_build(workspace, (MISSING,), settings)

    locked = (workspace.source / "requirements.txt").read_text()
    assert "pyyaml==6.0.1" in locked
    assert "--hash=sha256:" in locked


def test_a_missing_package_that_cannot_be_locked_is_not_required(
    workspace: Workspace, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    before = (workspace.source / "requirements.txt").read_text()

    assert not fix_build(workspace, (MISSING,), settings)

    assert (workspace.source / "requirements.txt").read_text() == before
