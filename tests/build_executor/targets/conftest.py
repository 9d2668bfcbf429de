import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath

import docker
import pytest
from pydantic import HttpUrl

from build_executor.settings import Settings
from build_executor.targets.host import HostTarget, Patience
from build_executor.targets.local import LocalTarget, local_supervisor_down, local_target
from build_executor.targets.production import host_parts, production_shell
from build_executor.targets.shell import Login
from tests.caddy import Caddy
from tests.debian_image import debian_image
from tests.docker_engine import remove_images
from tests.fakes.docker import FakeEngine
from tests.fakes.production import FakeShell
from tests.fakes.release import Releases
from tests.ports import free_port
from tests.production_host import ProductionHost

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
def caddy_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caddy]:
    """A real Caddy."""
    caddy = Caddy(tmp_path_factory.mktemp("caddy"))
    caddy.start()
    yield caddy
    caddy.stop()


@pytest.fixture(scope="module")
def behind_caddy(
    caddy_process: Caddy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalTarget]:
    """The same with a Caddy for a switch."""
    settings = Settings(
        build_executor_home=tmp_path_factory.mktemp("home"),
        switch="caddy",
        caddy_admin=HttpUrl(caddy_process.admin),
        keep_releases=2,
    )
    yield local_target(settings, Patience(start=3, switch=3, drain=3, lock=0.2))
    local_supervisor_down(settings)


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
    remove_images(docker_settings, docker_settings.services)


@pytest.fixture(scope="module")
def faintly_contained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTarget]:
    """The same on an engine of the tests."""
    folder = tmp_path_factory.mktemp("faint")
    with FakeEngine(folder / "docker.sock") as engine:
        settings = Settings(
            build_executor_home=folder / "home",
            docker=True,
            docker_host=engine.address,
            docker_base_image="base:1",
        )
        yield local_target(settings, Patience(start=3, switch=3, drain=3, lock=0.2))
        local_supervisor_down(settings)


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path, service=f"shop-{next(_numbers)}", port=free_port())


@pytest.fixture(scope="module")
def remote() -> Iterator[HostTarget]:
    """A production host in this process for a module."""
    with tempfile.TemporaryDirectory(prefix="h") as root, FakeShell() as shell:
        settings = Settings(
            production_root=PurePosixPath(root), production_bind=IPv4Address("127.0.0.1")
        )
        login = Login(user="deploy", host="127.0.0.1")
        parts = host_parts(shell, login, lambda *_: None, settings, 0.2)
        yield HostTarget("production", parts, patience=Patience(start=3, switch=3, drain=3))


@pytest.fixture(scope="module")
def remotely_contained() -> Iterator[HostTarget]:
    """A production host in this process, on an engine of the tests, for a module."""
    with tempfile.TemporaryDirectory(prefix="h") as root, FakeShell() as shell:
        path = Path(root) / "docker.sock"
        shell.sockets["/var/run/docker.sock"] = str(path)
        with FakeEngine(path):
            settings = Settings(
                build_executor_home=Path(root) / "home",
                production_runtime="docker",
                production_root=PurePosixPath(root) / "apps",
                production_bind=IPv4Address("127.0.0.1"),
                docker_base_image="base:1",
            )
            login = Login(user="deploy", host="127.0.0.1")
            parts = host_parts(shell, login, lambda *_: None, settings, 0.2)
            yield HostTarget("production", parts, patience=Patience(start=3, switch=3, drain=3))


@pytest.fixture(scope="module")
def production(production_host: ProductionHost) -> HostTarget:
    """A real production host for a module; each test has a service of its own on it."""
    settings = production_host.settings()
    login = Login.parse(production_host.login)
    shell = production_shell(settings, login)
    parts = host_parts(shell, login, lambda *_: None, settings, 0.5)
    return HostTarget("production", parts, patience=Patience(start=10, switch=5, drain=3))
