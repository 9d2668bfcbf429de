from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker_engine import running_engine
from tests.prefect_server import PrefectServer


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
