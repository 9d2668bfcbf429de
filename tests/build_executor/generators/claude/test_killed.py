"""A build that is killed while Claude speaks: what it had set aside stays counted."""

import sys
import threading
from pathlib import Path

import pytest

from build_executor import command
from build_executor.settings import Settings, inherited_environment
from build_executor.spending import Spending, today
from tests.messages_rules import Json
from tests.messages_server import MessagesServer, Says, writes

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[4]
ASK = """
from build_executor.generators.claude.asking import open_claude
from build_executor.generators.model import Question
from build_executor.settings import load
open_claude(load(), "b").ask(Question(stable="rules", task="x", functions=frozenset({"f"})))
"""


def test_a_killed_builds_call_stays_counted(tmp_path: Path) -> None:
    asked = threading.Event()

    def speak_and_stop(_: Json) -> Says:
        asked.set()
        return writes({"f": "x"}, breaks="silence")

    with MessagesServer(otherwise=speak_and_stop) as server:
        environment = {
            **inherited_environment(),
            "BUILD_EXECUTOR_HOME": str(tmp_path),
            "ANTHROPIC_API_KEY": server.key,
            "ANTHROPIC_BASE_URL": server.url,
        }
        process = command.start(
            [sys.executable, "-c", ASK], log=tmp_path / "log", cwd=ROOT, environment=environment
        )
        assert asked.wait(60), (tmp_path / "log").read_text()
        process.kill()
        process.wait()

    settings = Settings(build_executor_home=tmp_path)
    cost = Spending(settings, "b").cost()
    assert [call.outcome for call in cost.calls] == ["not over yet"]
    assert cost.counted_dollars == today(settings.spending).counted_dollars > 0.4
