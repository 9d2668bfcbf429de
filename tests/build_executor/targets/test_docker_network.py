"""Engines whose containers have addresses that nobody reaches: said before anything is deployed."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath

import docker
import pytest

from build_executor.errors import DeploymentFailed
from build_executor.settings import Settings
from build_executor.targets.host import HostTarget, Patience
from build_executor.targets.local import local_supervisor_down, local_target
from build_executor.targets.production import host_parts, production_targets
from build_executor.targets.shell import Login
from tests.docker_engine import engine_elsewhere
from tests.docker_host import docker_host
from tests.fakes.docker import BASE, FakeEngine
from tests.fakes.production import FakeShell
from tests.fakes.release import Releases

QUICK = Patience(start=3, switch=3, drain=1, lock=0.2)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    """One whose network is another machine's."""
    with FakeEngine(tmp_path / "docker.sock") as engine:
        engine.interface = "elsewhere0"
        yield engine


@pytest.fixture
def here(engine: FakeEngine, tmp_path: Path) -> Iterator[HostTarget]:
    settings = Settings(
        build_executor_home=tmp_path / "home",
        docker=True,
        docker_host=engine.address,
        docker_base_image="base:1",
    )
    yield local_target(settings, QUICK)
    local_supervisor_down(settings)


@pytest.fixture
def there(engine: FakeEngine) -> Iterator[HostTarget]:
    with tempfile.TemporaryDirectory(prefix="h") as root, FakeShell() as shell:
        shell.sockets["/var/run/docker.sock"] = engine.address.removeprefix("unix://")
        settings = Settings(
            build_executor_home=Path(root) / "home",
            production_runtime="docker",
            production_root=PurePosixPath(root) / "apps",
            production_bind=IPv4Address("127.0.0.1"),
            docker_base_image="base:1",
        )
        login = Login(user="deploy", host="127.0.0.1")
        parts = host_parts(shell, login, lambda *_: None, settings, 0.2)
        yield HostTarget("production", parts, patience=QUICK)


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("here", "that this machine does not reach.* or DOCKER=false"),
        ("there", "that deploy@fake does not reach.* or PRODUCTION_RUNTIME=systemd"),
    ],
)
def test_nothing_is_left_on_an_engine_whose_containers_are_not_reached(
    request: pytest.FixtureRequest,
    engine: FakeEngine,
    releases: Releases,
    where: str,
    reason: str,
) -> None:
    target: HostTarget = request.getfixturevalue(where)

    with pytest.raises(DeploymentFailed, match=reason):
        target.install(releases.build("1.0.0").release)

    assert (list(engine.images), engine.containers, engine.networks) == ([BASE], {}, {})


def test_a_network_that_others_use_stays(
    here: HostTarget, engine: FakeEngine, releases: Releases
) -> None:
    engine.networks["1"] = {
        "Id": "1",
        "Name": "build-executor",
        "Labels": {"build-executor.network": "releases"},
    }

    with pytest.raises(DeploymentFailed, match="does not reach"):
        here.install(releases.build("1.0.0").release)

    assert list(engine.networks) == ["1"]


def test_an_engine_is_asked_once(here: HostTarget, engine: FakeEngine, releases: Releases) -> None:
    engine.interface = "lo"
    here.install(releases.build("1.0.0").release)
    engine.networks.clear()

    here.install(releases.build("2.0.0").release)

    assert engine.networks == {}


# -- for real


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with engine_elsewhere(tmp_path_factory.mktemp("elsewhere")) as address:
        yield address


@pytest.fixture
def local(elsewhere: str, tmp_path: Path) -> Iterator[HostTarget]:
    settings = Settings(build_executor_home=tmp_path / "home", docker=True, docker_host=elsewhere)
    yield local_target(settings, QUICK)
    local_supervisor_down(settings)


@pytest.fixture
def production(elsewhere: str, docker_engine: str, tmp_path: Path) -> Iterator[HostTarget]:
    """A host whose user deploys to that engine."""
    with (
        closing(docker.DockerClient(base_url=docker_engine)) as client,
        docker_host(client, Path(elsewhere.removeprefix("unix://")), tmp_path) as settings,
    ):
        (target,) = production_targets(settings, QUICK)
        yield target


@pytest.mark.full
@pytest.mark.parametrize("where", ["local", "production"])
def test_a_real_engine_in_a_network_of_its_own_is_refused(
    request: pytest.FixtureRequest, elsewhere: str, releases: Releases, where: str
) -> None:
    target: HostTarget = request.getfixturevalue(where)

    with pytest.raises(DeploymentFailed, match=r"does not reach: it has a network of its own"):
        target.install(releases.build("1.0.0").release)

    with closing(docker.DockerClient(base_url=elsewhere)) as client:
        assert client.images.list() == client.containers.list(all=True) == []
        assert {network.name for network in client.networks.list()} == {"bridge", "host", "none"}
