"""The service that the compiler writes from the document beside a test module, running.

Each folder is one document and what its reader expects of the service; nothing here knows how the
compiler works. To add a document, add a folder.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from build_executor import command
from tests.ports import free_port

DOCUMENTS = ("SPEC.md", "openapi.yaml", "openapi.json")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.full)


@pytest.fixture(scope="module")
def document(request: pytest.FixtureRequest) -> Path:
    """The document in the folder of the test module."""
    folder = request.path.parent
    return next(folder / name for name in DOCUMENTS if (folder / name).exists())


@pytest.fixture(scope="module")
def source(document: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated service."""
    folder = tmp_path_factory.mktemp("generated") / "service"
    argv = [sys.executable, "-m", "build_executor", "generate", str(document), str(folder)]
    command.run(argv, timeout=60, cwd=Path(__file__).parents[2])
    return folder


@pytest.fixture(scope="module")
def api(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the running service."""
    port, data = free_port(), tmp_path_factory.mktemp("data")
    log = data / "service.log"
    process = command.start(
        [
            sys.executable,
            "-m",
            "uvicorn",
            "app.main:app",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        log=log,
        cwd=source,
        environment=command.clean_environment(
            {"PYTHONPATH": str(source), "PORT": str(port), "DATA_DIR": str(data)}
        ),
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            wait_for_health(client, log)
            yield client
    finally:
        command.stop(process)


def wait_for_health(client: httpx.Client, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if client.get("/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(f"the service does not answer:\n{log.read_text()[-4000:]}")
