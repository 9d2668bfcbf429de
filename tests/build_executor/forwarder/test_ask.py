import io
import json
from pathlib import Path

import pytest

from build_executor.forwarder.ask import main
from tests.fakes.forwarder import running_forwarder


@pytest.fixture
def question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"do": "status"}'))


@pytest.mark.usefixtures("question")
def test_the_answer_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_forwarder(tmp_path / "routes.json", tmp_path / "a"):
        assert main(tmp_path / "a", 5) == 0

    assert json.loads(capsys.readouterr().out)["ok"] is True


@pytest.mark.usefixtures("question")
def test_no_answer_is_said_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path / "a", 5) == 1

    assert json.loads(capsys.readouterr().out)["error"].startswith("no answer: ")
