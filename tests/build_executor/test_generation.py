from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from build_executor.errors import GenerationFailed
from build_executor.events import parse
from build_executor.generation import generate_code, generate_tests
from build_executor.generators import GENERATORS, Attempt
from build_executor.models import Workspace
from build_executor.spec.contract import Contract
from build_executor.spec.derivation import derive_contract

NOTES = """# notes - SPEC

**Port:** 8399

### POST /notes
```json
// Request
{"text": "first"}
// Response
{"note_id": "uuid", "text": "first"}
```

### GET /notes/{note_id}
"""
COMPLETE = {"app/main.py": "", "app/models.py": "", "app/config.py": "", "requirements.txt": ""}


@dataclass
class Scripted:
    """Writes exactly what it is given."""

    code: Mapping[str, str] = field(default_factory=dict)
    tests: Mapping[str, str] = field(default_factory=dict)
    trusted: bool = False

    def generate_code(self, _contract: Contract, _attempt: Attempt) -> Mapping[str, str]:
        return self.code

    def generate_tests(self, _contract: Contract, _attempt: Attempt) -> Mapping[str, str]:
        return self.tests


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(build_id="b", service="notes", path=tmp_path)


@pytest.fixture
def contract() -> Contract:
    return derive_contract(NOTES)


def rejected(contract: Contract, workspace: Workspace, code: Mapping[str, str]) -> list[str]:
    with pytest.raises(GenerationFailed) as caught:
        generate_code(contract, workspace, Scripted(code=code), Attempt())
    return [f"{finding.gate}/{finding.rule}" for finding in caught.value.findings]


def test_the_compilers_code_and_tests_pass_the_gates(
    contract: Contract, workspace: Workspace
) -> None:
    compiler = GENERATORS["compiler"]

    generate_code(contract, workspace, compiler, Attempt())
    generate_tests(contract, workspace, compiler, Attempt())

    assert (workspace.source / "app" / "logic.py").exists()
    assert (workspace.source / "tests" / "test_contract.py").exists()
    assert Contract.model_validate_json(workspace.contract_file.read_bytes()) == contract


def test_generating_again_gives_the_same_and_forgets_the_rest(
    contract: Contract, workspace: Workspace
) -> None:
    compiler = GENERATORS["compiler"]
    generate_code(contract, workspace, compiler, Attempt())
    first = (workspace.source / "app" / "logic.py").read_text()
    stray = workspace.source / "app" / "stray.py"
    stray.write_text("left over from an earlier attempt")

    generate_code(contract, workspace, compiler, Attempt(number=2))

    assert (workspace.source / "app" / "logic.py").read_text() == first
    assert not stray.exists()


def test_progress_is_told_file_by_file(
    contract: Contract, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        generate_code(contract, workspace, GENERATORS["compiler"], Attempt())

    events = [event for record in caplog.records if (event := parse(record.getMessage()))]
    assert "generated app/main.py, app/models.py" in [event.message for event in events]
    assert [e.progress_percent for e in events] == sorted(e.progress_percent or 0 for e in events)


@pytest.mark.parametrize(
    "name",
    [
        "../x.py",
        "/etc/x",
        "app/../x.py",
        "app//x.py",
        "x.py",
        ".git/config",
        "tests/test_x.py",
        "app/a\nb.py",
        "app/" + "n" * 100,
        "app",
    ],
)
def test_files_outside_the_allowed_places_are_refused(
    contract: Contract, workspace: Workspace, name: str
) -> None:
    assert rejected(contract, workspace, {**COMPLETE, name: ""}) == ["names/not-allowed"]
    assert not workspace.source.exists()


def test_too_much_text_is_refused(contract: Contract, workspace: Workspace) -> None:
    large = {f"app/n{n}.py": "#" * (600 * 1024) for n in range(8)}

    found = rejected(contract, workspace, {**COMPLETE, **large})

    assert found[0] == "names/too-much"
    assert found.count("names/too-large") == 8


def test_an_incomplete_service_is_refused(contract: Contract, workspace: Workspace) -> None:
    assert rejected(contract, workspace, {"app/main.py": ""}) == ["names/missing"] * 3


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("def broken(:\n", "parse/syntax"),
        ("x = '\0'\n", "parse/syntax"),
        ("value = undefined_name\n", "ruff/F821"),
        ("import subprocess\nsubprocess.call('ls', shell=True)\n", "ruff/S602"),
    ],
)
def test_code_that_a_gate_rejects_comes_back_as_findings(
    contract: Contract, workspace: Workspace, text: str, rule: str
) -> None:
    assert rule in rejected(contract, workspace, {**COMPLETE, "app/main.py": text})


def test_tests_may_not_write_over_the_code(contract: Contract, workspace: Workspace) -> None:
    with pytest.raises(GenerationFailed, match="not allowed"):
        generate_tests(contract, workspace, Scripted(tests={"app/main.py": ""}), Attempt())


def test_a_linter_that_cannot_read_the_file_is_a_finding(
    contract: Contract, workspace: Workspace
) -> None:
    tests = {"tests/test_x.py": "x = " + "(" * 400 + ")" * 400 + "\n"}

    with pytest.raises(GenerationFailed):
        generate_tests(contract, workspace, Scripted(tests=tests), Attempt())
