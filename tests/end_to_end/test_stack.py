"""`make up` and `make down`: what they start, what they end, and what they leave alone."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import create_server

import httpx
import psutil
import pytest

from build_executor import command
from build_executor.errors import CommandFailed
from tests.end_to_end.stack import ROOT, Stack
from tests.ports import free_port

pytestmark = pytest.mark.full


@pytest.fixture
def own_stack(cache: Path) -> Iterator[Stack]:
    """A stack that is not running, in a folder of its own."""
    home = Path(tempfile.mkdtemp(prefix="bx-"))
    stack = Stack(home, cache)
    try:
        yield stack
    finally:
        stack.http.close()
        stack.run("deployments.stack", "down")
        shutil.rmtree(home)


def processes_of(stack: Stack) -> dict[psutil.Process, str]:
    """All processes that know this stack's folder, with their command lines."""
    found = {}
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if any(str(stack.home) in word for word in words):
            found[process] = " ".join(process.cmdline())
    return found


def test_down_ends_everything_and_up_brings_the_deployed_service_back(
    own_stack: Stack, tmp_path: Path
) -> None:
    port = free_port()
    text = (ROOT / "tests" / "specs" / "notes.md").read_text(encoding="utf-8")
    spec = own_stack.write_spec("n", text.format(service="kept-notes", version="1.0.0", port=port))
    waits = [sys.executable, "-c", "import time; time.sleep(600)"]
    bystander = command.start(waits, log=tmp_path / "log", environment={"A": "B"})
    own_stack.run("deployments.stack", "up")
    url = own_stack.finished(own_stack.submit(spec))["deployment_urls"]["local"]
    note = httpx.post(
        f"{url}/notes", json={"title": "milk", "text": "two litres"}, timeout=60
    ).json()

    own_stack.run("deployments.stack", "down")
    own_stack.run("deployments.stack", "down")
    left = processes_of(own_stack)
    own_stack.run("deployments.stack", "up")
    own_stack.run("deployments.stack", "up")

    assert left == {}
    assert bystander.poll() is None
    assert httpx.get(f"{url}/notes/{note['note_id']}", timeout=60).json() == note
    assert own_stack.http.get("/builds").json()["total"] == 1
    command.stop(bystander)


def test_after_a_power_cut_up_brings_everything_back(own_stack: Stack) -> None:
    text = (ROOT / "tests" / "specs" / "notes.md").read_text(encoding="utf-8")
    filled = text.format(service="lasting-notes", version="1.0.0", port=free_port())
    own_stack.run("deployments.stack", "up")
    build_id = own_stack.submit(own_stack.write_spec("n", filled))
    url = own_stack.finished(build_id)["deployment_urls"]["local"]
    note = httpx.post(
        f"{url}/notes", json={"title": "milk", "text": "two litres"}, timeout=60
    ).json()
    processes = processes_of(own_stack)

    for process in processes:
        process.suspend()
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=60)
    own_stack.run("deployments.stack", "up")

    assert httpx.get(f"{url}/notes/{note['note_id']}", timeout=60).json() == note
    assert own_stack.status(build_id)["status"] == "completed"


def test_a_taken_port_is_named_and_nothing_is_started(own_stack: Stack) -> None:
    port = int(own_stack.environment["PORT"])

    with (
        closing(create_server(("127.0.0.1", port))),
        pytest.raises(CommandFailed) as refused,
    ):
        own_stack.run("deployments.stack", "up")

    assert f"port {port} is taken" in str(refused.value)
    assert processes_of(own_stack) == {}
