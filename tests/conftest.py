import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker_engine import running_engine
from tests.prefect_server import PrefectServer
from tests.production_host import ProductionHost, start_host


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
