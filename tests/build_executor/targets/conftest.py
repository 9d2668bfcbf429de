import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from build_executor.settings import Settings
from build_executor.targets.host import Patience
from build_executor.targets.local import LocalTarget, local_supervisor_down, local_target
from tests.debian_image import debian_image
from tests.docker_engine import remove_images
from tests.fakes.release import Releases
from tests.ports import free_port

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def local_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="module")
def local(local_root: Path) -> Iterator[LocalTarget]:
    """One supervised target for a module; each test has a service of its own on it."""
    patience = Patience(start=3, switch=3, drain=3, lock=0.2)
    target = LocalTarget(local_root, keep_releases=2, patience=patience)
    yield target
    target.supervisor.shut_down()


@pytest.fixture(scope="session")
def base_image(docker_engine: str) -> str:
    """An image with a Python, for containers."""
    with contextlib.closing(docker.DockerClient(base_url=docker_engine)) as client:
        return debian_image(client)


@pytest.fixture(scope="module")
def docker_settings(
    docker_engine: str, base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    return Settings(
        build_executor_home=tmp_path_factory.mktemp("home"),
        docker=True,
        docker_host=docker_engine,
        docker_base_image=base_image,
        keep_releases=2,
    )


@pytest.fixture(scope="module")
def contained(docker_settings: Settings) -> Iterator[LocalTarget]:
    """A target with containers for a module; each test has a service of its own on it."""
    patience = Patience(start=10, switch=3, drain=3, lock=0.2)
    yield local_target(docker_settings, patience)
    local_supervisor_down(docker_settings)
    remove_images(docker_settings)


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path, service=f"shop-{next(_numbers)}", port=free_port())
