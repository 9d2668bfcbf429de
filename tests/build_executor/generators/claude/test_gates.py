"""The gates with a sandbox that runs nothing: what they make, and whom they blame."""

from pathlib import Path

import pytest

from build_executor.errors import GenerationFailed
from build_executor.generators.claude.gates import Gates, function_of
from build_executor.settings import Settings
from build_executor.spec.derivation import derive_contract
from build_executor.workspace import open_workspace
from tests import bank
from tests.fakes.sandbox import FakeSandbox

CONTRACT = derive_contract(bank.SPEC.read_text())
LABEL = "POST /accounts/{account_id}/deposit"
REPORT = (
    '<testsuites><testsuite name="pytest"><testcase classname="tests.test_x" name="{name}">'
    '<failure message="m">{text}</failure></testcase></testsuite></testsuites>'
)


def gates(tmp_path: Path, sandbox: FakeSandbox) -> Gates:
    """With an environment already there: making one is not what is looked at."""
    settings = Settings(build_executor_home=tmp_path)
    workspace = open_workspace("b", "bank", settings)
    (workspace.path / "candidate" / "environment").mkdir(parents=True)
    return Gates(CONTRACT, workspace, sandbox, settings)


def line_of(tmp_path: Path, text: str) -> int:
    logic = tmp_path / "builds" / "b" / "candidate" / "source" / "app" / "logic.py"
    lines = logic.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_what_passes_is_not_blamed(tmp_path: Path) -> None:
    sandbox = FakeSandbox()

    assert gates(tmp_path, sandbox).judge(bank.GOOD) == ()
    assert [command[1:4] for command in sandbox.commands] == [
        ("-I", "-m", "mypy"),
        ("-m", "pytest", "-q"),
    ]


def test_what_ruff_finds_is_blamed_on_its_function(tmp_path: Path) -> None:
    bad = bank.GOOD_DEPOSIT.replace("body.amount", "unknown_amount")

    (finding,) = gates(tmp_path, FakeSandbox()).judge({**bank.GOOD, bank.DEPOSIT: bad})

    assert (finding.rule, finding.operation, finding.spec_line) == ("F821", LABEL, 21)
    assert function_of(finding, CONTRACT) == bank.DEPOSIT


@pytest.mark.parametrize(
    ("name", "text", "operation"),
    [
        (f"test_{bank.DEPOSIT}__answers_as_specified", "E   assert", LABEL),
        ("test_main", "tests/test_x.py:3: in test\nE   KeyError", None),
        ("test_main", "app/logic.py:99999: in f\nE   KeyError", None),
        ("test_main", "app/logic.py:1: in f\nE   KeyError", None),
    ],
)
def test_a_failed_test_is_blamed_by_its_name_or_its_traceback(
    tmp_path: Path, name: str, text: str, operation: str | None
) -> None:
    report = REPORT.format(name=name, text=text)
    sandbox = FakeSandbox(exit_code=1, output="1 failed", report=report)

    (finding,) = gates(tmp_path, sandbox).judge(bank.GOOD)

    assert finding.operation == operation


def test_a_traceback_through_a_function_blames_it(tmp_path: Path) -> None:
    gates(tmp_path, FakeSandbox()).judge(bank.GOOD)
    line = line_of(tmp_path, "+ body.amount")
    report = REPORT.format(
        name="test_other", text=f"app/logic.py:{line}: in f\n    x\nE  1\nE  2\nE  3\nE  4"
    )
    (tmp_path / "second").mkdir()

    (finding,) = gates(
        tmp_path / "second", FakeSandbox(exit_code=1, output="1 failed", report=report)
    ).judge(bank.GOOD)

    assert finding.operation == LABEL


def test_types_that_contradict_each_other_are_found_before_any_test(tmp_path: Path) -> None:
    fault = (
        '{"file": "app/logic.py", "line": 1, "severity": "error", "code": "arg-type",'
        ' "message": "no"}'
    )
    sandbox = FakeSandbox(exit_code=1, output=fault)

    (finding,) = gates(tmp_path, sandbox).judge(bank.GOOD)

    assert (finding.gate, finding.rule) == ("mypy", "arg-type")
    assert len(sandbox.commands) == 1


def test_extra_tests_run_by_themselves(tmp_path: Path) -> None:
    sandbox = FakeSandbox()
    own = gates(tmp_path, sandbox)
    files = {bank.DEPOSIT_TEST: bank.GOOD_TEST}

    assert own.try_tests(bank.GOOD, files) == ()
    assert own.faults_of_tests(bank.GOOD, files) == ()
    assert sandbox.commands[0][-1] == "tests/extra"


def test_extra_tests_that_cannot_be_put_there_say_why(tmp_path: Path) -> None:
    own = gates(tmp_path, FakeSandbox())
    files = {bank.DEPOSIT_TEST: "def test_x() -> None:\n    assert unknown_name\n"}

    assert [finding.rule for finding in own.faults_of_tests(bank.GOOD, files)] == ["F821"]
    with pytest.raises(GenerationFailed):
        own.try_tests(bank.GOOD, files)
