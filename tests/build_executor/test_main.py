import json
from pathlib import Path

import pytest

from build_executor.__main__ import main

SPEC = """# notes - SPEC

**Port:** 8399

### POST /notes
```json
// Request
{"text": "first"}
// Response
{"note_id": "uuid", "text": "first"}
```

### GET /notes/{note_id}

### POST /notes/{note_id}/frobnicate
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "SPEC.md"
    path.write_text(SPEC)
    return path


def test_check_says_what_would_be_built(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(spec)]) == 0

    printed = capsys.readouterr().out
    assert "notes: 3 endpoints, port 8399 (header)" in printed
    assert "POST   /notes/{note_id}/frobnicate  stub-501" in printed
    assert "nothing says what `frobnicate` does to a note" in printed


def test_check_as_json_has_the_documented_fields(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["check", str(spec), "--json"])

    report = json.loads(capsys.readouterr().out)
    assert report["service"] == "notes"
    assert (report["port"], report["port_source"]) == (8399, "header")
    assert report["buildable"] is True
    assert report["endpoints"][0] == {
        "method": "POST",
        "path": "/notes",
        "line": 5,
        "status": "implemented",
    }
    assert {"reason", "assumptions", "gaps"} <= set(report)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("# plans\n\nNothing but words.\n", "prose"),
        ("# [Service Name] - SPEC\n\n### GET /x\n", "template"),
    ],
)
def test_what_cannot_be_built_is_refused_with_exit_code_2(
    spec: Path, capsys: pytest.CaptureFixture[str], text: str, reason: str
) -> None:
    spec.write_text(text)

    assert main(["check", str(spec), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["reason"] == reason
    assert main(["check", str(spec)]) == 2
    assert f"refused, {reason}" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(tmp_path / "none.md"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["reason"] == "unreadable"


def test_generate_writes_the_service_and_may_be_repeated(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "service"

    assert main(["generate", str(spec), str(folder)]) == 0
    assert main(["generate", str(spec), str(folder)]) == 0
    assert "no port stated" not in capsys.readouterr().out
    assert (folder / "app" / "main.py").exists()
    assert (folder / "tests" / "test_udc.py").exists()


def test_generate_does_not_write_over_somebody_elses_folder(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "precious.txt").write_text("mine")

    assert main(["generate", str(spec), str(folder)]) == 1
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["precious.txt"]


def test_cost_says_what_the_holes_are_going_to_cost(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", str(spec), "--model", "claude-sonnet-5-5"]) == 0

    printed = capsys.readouterr().out
    assert printed.startswith("1 function to write: POST /notes/{note_id}/frobnicate\n")
    assert "if the first attempt is accepted" in printed


def test_cost_of_a_model_without_a_price_is_not_known(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["cost", str(spec), "--model", "claude-of-next-year"])

    assert "claude-of-next-year: no price is known" in capsys.readouterr().out


def test_a_spec_without_holes_costs_nothing(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(SPEC[: SPEC.index("### POST /notes/{note_id}/frob")])

    main(["cost", str(spec)])

    assert "the build costs nothing" in capsys.readouterr().out
