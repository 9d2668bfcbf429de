import io
import json
import threading
from pathlib import Path

import pytest

from build_executor.forwarder import ask
from build_executor.forwarder.ask import insist, main
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


def test_a_dead_forwarder_is_waited_for(tmp_path: Path) -> None:
    answers: list[object] = []
    waiting = threading.Thread(
        target=lambda: answers.append(insist(tmp_path / "a", {"do": "status"}, 5)["ok"])
    )
    waiting.start()

    with running_forwarder(tmp_path / "routes.json", tmp_path / "a"):
        waiting.join()

    assert answers == [True]


def test_one_that_stays_dead_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "_TAKE_OVER_SECONDS", 0.05)

    with pytest.raises(FileNotFoundError):
        insist(tmp_path / "a", {"do": "status"}, 5)
