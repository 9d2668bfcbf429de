import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer

from tests.docker_engine import running_engine
from tests.prefect_server import PrefectServer
from tests.production_host import ProductionHost, start_host
from tests.side_by_side import FilesTogether, turn


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesTogether:
    return FilesTogether(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: turn(item.nodeid))


@pytest.fixture(scope="session")
def cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What only a lock and an interpreter decide: made once for all builds of all workers."""
    is_worker = hasattr(request.config, "workerinput")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if is_worker else base) / "cache"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """The one real Prefect server of a test session."""
    server = PrefectServer(Path(tmp_path_factory.mktemp("prefect")))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def prefect_server(prefect: PrefectServer) -> str:
    """The URL of that server's API."""
    return prefect.api_url


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the one Docker engine of a test session."""
    with running_engine(tmp_path_factory.mktemp("docker")) as address:
        yield address


@pytest.fixture(scope="session")
def production_host(
    docker_engine: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProductionHost]:
    """A production host that is entered over SSH, for a test session."""
    import docker  # noqa: PLC0415 - half a second that only tests with Docker shall pay

    with contextlib.closing(docker.DockerClient(base_url=docker_engine)) as client:
        host = start_host(client, tmp_path_factory.mktemp("host"), "production")
        try:
            yield host
        finally:
            host.stop()
