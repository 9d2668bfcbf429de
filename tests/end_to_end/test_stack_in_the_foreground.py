"""`stack run` and `stack check`: what the container and its health check do."""

import contextlib
import shutil
import subprocess  # noqa: TID251 - only the type of what command.start returns
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from build_executor import command
from build_executor.errors import CommandFailed
from build_executor.targets.supervisor import Supervisor
from tests.end_to_end.stack import ROOT, Stack

pytestmark = pytest.mark.full

_WITHIN_SECONDS = 240.0


@pytest.fixture
def stopped() -> Iterator[Stack]:
    """A stack that nobody has started, in a folder of its own."""
    home = Path(tempfile.mkdtemp(prefix="bx-"))
    stack = Stack(home)
    try:
        yield stack
    finally:
        stack.http.close()
        stack.run("deployments.stack", "down")
        shutil.rmtree(home)


@contextlib.contextmanager
def in_the_foreground(stack: Stack) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", "deployments.stack", "run"]
    log = stack.home / "run.log"
    process = command.start(argv, cwd=ROOT, log=log, environment=stack.environment)
    try:
        yield process
    finally:
        command.stop(process, grace=60)


def complaint(stack: Stack) -> str:
    """What `check` objects to; nothing if all answer."""
    try:
        stack.run("deployments.stack", "check")
    except CommandFailed as error:
        return str(error)
    return ""


def until_it_answers(stack: Stack, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _WITHIN_SECONDS
    while said := complaint(stack):
        assert process.poll() is None, (stack.home / "run.log").read_text()
        assert time.monotonic() < deadline, said
        time.sleep(0.2)


def test_it_stays_brings_back_what_dies_and_ends_all_when_it_is_told_to(stopped: Stack) -> None:
    supervisor = Supervisor(stopped.home / "var" / "stack")
    before = complaint(stopped)

    with in_the_foreground(stopped) as process:
        until_it_answers(stopped, process)
        page = httpx.get(stopped.environment["PREFECT_API_URL"].removesuffix("/api"), timeout=60)
        killed = supervisor.pid("adapter")
        psutil.Process(killed).kill()
        while supervisor.pid("adapter") in {0, killed}:
            assert process.poll() is None
            time.sleep(0.1)
        until_it_answers(stopped, process)
        process.terminate()
        ended_with = process.wait(timeout=_WITHIN_SECONDS)

    assert "prefect-server does not answer" in before
    assert page.is_redirect or page.is_success, page.text
    assert list((stopped.home / "var" / "prefect" / "ui").glob("*/index.html"))
    assert ended_with == 0
    assert not supervisor.is_running()
    assert "prefect-server does not answer" in complaint(stopped)
