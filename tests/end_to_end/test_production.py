"""A build that goes to a production host over SSH, and back."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.stack import ROOT, Stack
from tests.fakes.load import Load
from tests.ports import free_port
from tests.production_host import ProductionHost

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def production_stack(production_host: ProductionHost, cache: Path) -> Iterator[Stack]:
    """A stack of its own: its settings name the production host."""
    home = Path(tempfile.mkdtemp(prefix="bx-"))
    running = Stack(home, cache)
    running.environment |= {
        "PRODUCTION_HOSTS": production_host.login,
        "SSH_KEY_FILE": str(production_host.key_file),
        "SSH_KNOWN_HOSTS": str(production_host.known_hosts),
    }
    try:
        running.run("deployments.stack", "up")
        yield running
    finally:
        running.http.close()
        running.run("deployments.stack", "down")
        shutil.rmtree(home)


def submit(stack: Stack, service: str, version: str, port: int) -> str:
    """A build for production alone."""
    text = (ROOT / "tests" / "specs" / "notes.md").read_text(encoding="utf-8")
    filled = text.format(service=service, version=version, port=port)
    path = stack.write_spec(f"{service}-{version}", filled)
    return stack.submit(path, deploy_local=False, deploy_production=True)


def test_a_build_goes_to_production_loses_no_request_and_comes_back(
    production_stack: Stack, production_host: ProductionHost
) -> None:
    stack, port = production_stack, free_port()
    first = stack.finished(submit(stack, "notes-abroad", "1.0.0", port), within=240)
    assert first["status"] == "completed", first
    url = f"http://{production_host.address}:{port}"
    assert first["deployment_urls"]["production"] == url
    note = httpx.post(
        f"{url}/notes", json={"title": "milk", "text": "two litres"}, timeout=60
    ).json()
    before = httpx.get(f"{url}/health", timeout=60).json()["release"]

    with Load(url) as load:
        second = stack.finished(submit(stack, "notes-abroad", "1.1.0", port), within=240)
    assert second["status"] == "completed", second
    assert load.failures == []
    assert httpx.get(f"{url}/health", timeout=60).json()["release"] != before

    answer = stack.http.post(f"/builds/{second['build_id']}/rollback", timeout=120)
    assert answer.json()["rollback_status"] == "success", answer.text
    assert httpx.get(f"{url}/health", timeout=60).json()["release"] == before
    assert httpx.get(f"{url}/notes/{note['note_id']}", timeout=60).json() == note


def test_a_host_that_is_lost_fails_the_deployment_and_is_put_right_when_it_is_back(
    production_stack: Stack, production_host: ProductionHost
) -> None:
    stack, port = production_stack, free_port()
    first = stack.finished(submit(stack, "notes-lost", "2.0.0", port), within=240)
    assert first["status"] == "completed", first
    url = first["deployment_urls"]["production"]
    before = httpx.get(f"{url}/health", timeout=60).json()["release"]

    production_host.container.pause()
    try:
        second = stack.finished(submit(stack, "notes-lost", "2.1.0", port), within=240)
    finally:
        production_host.container.unpause()
    assert second["error_state"] == "failed_deployment", second
    assert production_host.login in second["error"]

    answer = stack.http.post(f"/builds/{second['build_id']}/rollback", timeout=120)
    assert answer.json()["rollback_status"] == "not_needed", answer.text
    assert httpx.get(f"{url}/health", timeout=60).json()["release"] == before
