"""Real processes: asked to end, then made to."""

import sys
from pathlib import Path

import psutil
import pytest

from build_executor import command
from build_executor.targets import processes
from build_executor.targets.processes import end, lives


def test_a_process_that_ignores_the_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_STOP_SECONDS", 0.2)
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)\n"
    log = tmp_path / "log"
    argv = (sys.executable, "-c", f"{stubborn}time.sleep(600)")
    process = psutil.Process(command.start_detached(argv, log=log))
    while not log.read_text():
        pass

    end([process])

    assert not lives(process)


def test_a_process_that_is_gone_does_not_live(tmp_path: Path) -> None:
    child = command.start((sys.executable, "-c", "input()"), log=tmp_path / "log")
    process = psutil.Process(child.pid)
    command.stop(child)

    assert not lives(process)
