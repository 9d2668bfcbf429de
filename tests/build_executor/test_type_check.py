import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from build_executor.command import Finished
from build_executor.environment import provide_environment
from build_executor.sandbox import Confinement, open_sandbox
from build_executor.settings import Settings
from build_executor.type_check import check_types, findings_in, is_fault
from tests.fakes.sandbox import FakeSandbox

FAULT = {
    "file": "app/logic.py",
    "line": 3,
    "column": 4,
    "message": 'Name "page" is not defined',
    "hint": None,
    "code": "name-defined",
    "severity": "error",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(build_executor_home=tmp_path / "home")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "app").mkdir(parents=True)
    (source / "app" / "logic.py").write_text("total: int = 1\n")
    (source / "requirements.txt").write_text("# nothing\n")
    return source


def test_an_error_is_a_finding_where_it_is() -> None:
    (finding,) = findings_in(json.dumps(FAULT))

    assert str(finding) == 'app/logic.py:3: [mypy/name-defined] Name "page" is not defined'
    assert is_fault(finding)


def test_a_missing_annotation_is_a_finding_and_no_fault() -> None:
    (finding,) = findings_in(json.dumps({**FAULT, "code": "no-untyped-def"}))

    assert not is_fault(finding)


def test_an_error_of_no_kind_is_a_fault() -> None:
    (finding,) = findings_in(json.dumps({**FAULT, "code": None}))

    assert is_fault(finding)


def test_notes_and_other_lines_are_left_out() -> None:
    note = json.dumps({**FAULT, "severity": "note"})

    assert findings_in(f"{note}\n{{torn\nSuccess\n") == ()


def test_mypy_looks_at_the_source_in_the_sandbox(
    source: Path, settings: Settings, tmp_path: Path
) -> None:
    sandbox = FakeSandbox()

    assert check_types(source, tmp_path / "notes", sandbox, settings) == ()

    argv, confinement = sandbox.commands[0], sandbox.confinements[0]
    assert argv[:4] == (sys.executable, "-I", "-m", "mypy")
    assert argv[-1] == "app"
    assert (confinement.workdir, confinement.writable) == (source, (tmp_path / "notes",))
    assert not confinement.host_network


def test_a_source_without_python_has_no_types(settings: Settings, tmp_path: Path) -> None:
    sandbox = FakeSandbox()

    assert check_types(tmp_path, tmp_path / "notes", sandbox, settings) == ()

    assert sandbox.commands == []


def test_what_mypy_finds_comes_back(source: Path, settings: Settings, tmp_path: Path) -> None:
    sandbox = FakeSandbox(exit_code=1, output=json.dumps(FAULT))

    (finding,) = check_types(source, tmp_path / "notes", sandbox, settings)

    assert finding.rule == "name-defined"


def test_where_mypy_cannot_run_it_is_told_and_nothing_is_found(
    source: Path, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox = FakeSandbox(exit_code=2, output="no such program")

    assert check_types(source, tmp_path / "notes", sandbox, settings) == ()

    assert "the types are not checked: " in caplog.text


class LearningSandbox(FakeSandbox):
    """Its command notes something, as mypy does."""

    def __init__(self) -> None:
        super().__init__()
        self.known: list[list[str]] = []

    def run(self, argv: Sequence[str], confinement: Confinement, *, timeout: float) -> Finished:
        (folder,) = confinement.writable
        self.known.append([path.name for path in folder.iterdir()])
        (folder / "3.11").mkdir(exist_ok=True)
        (folder / "3.11" / "notes").write_text("learned")
        return super().run(argv, confinement, timeout=timeout)


def test_what_mypy_learns_is_kept_and_each_build_gets_a_copy(
    source: Path, settings: Settings, tmp_path: Path
) -> None:
    sandbox = LearningSandbox()

    check_types(source, tmp_path / "first", sandbox, settings)
    check_types(source, tmp_path / "second", sandbox, settings)

    (kept,) = (settings.cache / "mypy").iterdir()
    assert sandbox.known == [[], ["3.11"]]
    assert (kept / "3.11" / "notes").read_text() == "learned"


@pytest.mark.full
def test_the_real_mypy_finds_a_fault_and_what_it_learned_does_not_hide_it(
    source: Path, settings: Settings, tmp_path: Path
) -> None:
    (source / "requirements.txt").write_text("# nothing\n")
    environment = tmp_path / "environment"
    provide_environment(source / "requirements.txt", environment, settings)
    sandbox = open_sandbox(settings, trusted=True)

    before = check_types(source, tmp_path / "notes", sandbox, settings)
    (source / "app" / "logic.py").write_text('total: int = "one"\n\n\ndef f(x):\n    return x\n')
    after = check_types(source, tmp_path / "notes", sandbox, settings)

    assert before == ()
    assert [(f.rule, is_fault(f)) for f in after] == [
        ("assignment", True),
        ("no-untyped-def", False),
    ]
