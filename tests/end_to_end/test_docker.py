"""A build that runs in containers, on this machine and on a production host over SSH."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import httpx
import pytest

from build_executor.settings import Settings
from build_executor.targets.probing import release_at
from tests.docker_engine import remove_containers, remove_images
from tests.docker_host import docker_host
from tests.end_to_end.stack import ROOT, Stack
from tests.ports import free_port

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def contained_stack(docker_engine: str, cache: Path) -> Iterator[Stack]:
    """A stack of its own, whose services run in containers wherever they are deployed."""
    home = Path(tempfile.mkdtemp(prefix="bx-"))
    stack = Stack(home, cache)
    socket = Path(docker_engine.removeprefix("unix://"))
    with contextlib.ExitStack() as open_things:
        open_things.callback(shutil.rmtree, home)
        engine = open_things.enter_context(
            contextlib.closing(docker.DockerClient(base_url=docker_engine, timeout=120))
        )
        (home / "host").mkdir()
        there = open_things.enter_context(docker_host(engine, socket, home / "host"))
        stack.environment |= _environment(there, docker_engine)
        open_things.callback(_remove_what_is_left, home, there, docker_engine)
        open_things.callback(stack.run, "deployments.stack", "down")
        open_things.callback(stack.http.close)
        stack.run("deployments.stack", "up")
        yield stack


def _environment(there: Settings, docker_engine: str) -> dict[str, str]:
    return {
        "DOCKER": "true",
        "DOCKER_HOST": docker_engine,
        "DOCKER_BASE_IMAGE": there.docker_base_image,
        "PRODUCTION_RUNTIME": "docker",
        "PRODUCTION_HOSTS": there.production_hosts[0],
        "PRODUCTION_ROOT": str(there.production_root),
        "PRODUCTION_BIND": str(there.production_bind),
        "SSH_KEY_FILE": str(there.ssh_key_file),
        "SSH_KNOWN_HOSTS": str(there.ssh_known_hosts),
    }


def _remove_what_is_left(home: Path, there: Settings, docker_engine: str) -> None:
    settings = Settings(build_executor_home=home / "var", docker_host=docker_engine)
    for root in (settings.services, there.production_root):
        remove_containers(settings, root)
        remove_images(settings, root)


def test_a_build_runs_in_a_container_of_this_machine(contained_stack: Stack) -> None:
    stack, port = contained_stack, free_port()
    text = (ROOT / "tests" / "specs" / "notes.md").read_text(encoding="utf-8")
    filled = text.format(service="notes-in-a-box", version="1.0.0", port=port)
    spec = stack.write_spec("notes-in-a-box", filled)

    here = stack.finished(stack.submit(spec), within=240)
    assert here["status"] == "completed", here
    url = here["deployment_urls"]["local"]
    note = httpx.post(
        f"{url}/notes", json={"title": "milk", "text": "two litres"}, timeout=60
    ).json()

    assert httpx.get(f"{url}/notes/{note['note_id']}", timeout=60).json() == note
    assert release_at(url)


def test_a_build_runs_in_a_container_of_a_production_host(contained_stack: Stack) -> None:
    stack, port = contained_stack, free_port()
    text = (ROOT / "tests" / "specs" / "notes.md").read_text(encoding="utf-8")
    filled = text.format(service="notes-far-away", version="1.0.0", port=port)
    spec = stack.write_spec("notes-far-away", filled)

    build = stack.submit(spec, deploy_local=False, deploy_production=True)
    there = stack.finished(build, within=240)

    assert there["status"] == "completed", there
    assert release_at(there["deployment_urls"]["production"])
