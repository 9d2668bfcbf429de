"""A document without endpoints is refused with a reason, not guessed at."""

import sys
from pathlib import Path

import pytest

from build_executor import command
from build_executor.errors import CommandFailed

ROOT = Path(__file__).parents[3]


def test_prose_without_endpoints_is_refused(document: Path) -> None:
    argv = [sys.executable, "-m", "build_executor", "check", str(document), "--json"]

    with pytest.raises(CommandFailed) as refusal:
        command.run(argv, timeout=60, cwd=ROOT)

    assert refusal.value.exit_code == 2
    assert '"buildable": false' in refusal.value.output
