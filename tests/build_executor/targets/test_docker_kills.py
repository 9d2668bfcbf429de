"""A deployer, or whoever rolls back, is killed with SIGKILL where releases are containers.

Each engine goes through the steps in one test: what one death leaves must not be in the way of the
next deployment either.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import docker
import pytest

from build_executor.deployment import Rollout, deploy, prove, roll_back
from build_executor.models import Check, VerifiedRelease
from build_executor.settings import Settings
from build_executor.targets.docker_target import scope_of
from build_executor.targets.probing import release_at
from build_executor.targets.production import production_targets
from build_executor.targets.target import Target
from tests.docker_engine import remove_images
from tests.docker_host import docker_host
from tests.fakes.dying_deployer import dies_deploying, dies_rolling_back
from tests.fakes.load import Load
from tests.fakes.release import Releases

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]  # many deployments in one test
STEPS = ["after install", "after offer", "after switch"]
STEPS_BACK = ["after switch"]


class Place(NamedTuple):
    """A target with containers, and what another process needs to know to open it."""

    target: Target
    settings: Settings
    root: Path
    engine: docker.DockerClient


@pytest.fixture(scope="module")
def engine(docker_engine: str) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.DockerClient(base_url=docker_engine)) as client:
        yield client


@pytest.fixture
def here(contained: Target, docker_settings: Settings, engine: docker.DockerClient) -> Place:
    return Place(contained, docker_settings, docker_settings.services, engine)


@pytest.fixture
def there(
    engine: docker.DockerClient, docker_engine: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    socket, folder = docker_engine.removeprefix("unix://"), tmp_path_factory.mktemp("production")
    with docker_host(engine, Path(socket), folder) as settings:
        (target,), root = production_targets(settings), Path(settings.production_root)
        yield Place(target, settings, root, engine)
        for container in engine.containers.list(all=True, filters={"label": _scope(root)}):
            container.remove(force=True)
        remove_images(settings.model_copy(update={"docker_host": docker_engine}), root)


def _scope(root: Path) -> str:
    """The label of what belongs to one target: its engine may have others' too."""
    return f"build-executor.scope={scope_of(root)}"


def live(place: Place, verified: VerifiedRelease) -> str:
    """Deploy and prove it; its public address."""
    passed = (Check(name="GET /health", passed=True),)
    deployed = deploy(verified, [place.target], lambda _: passed, Rollout(guard_seconds=0))
    prove(deployed, [place.target])
    return deployed[0].url


def assert_only(verified: VerifiedRelease, url: str, place: Place) -> None:
    """One version is live, of the others nothing is left, and the lock can be taken."""
    release, service = verified.release, verified.release.service
    assert release_at(url) == release.id
    labels = {"label": [f"build-executor.service={service}", _scope(place.root)]}
    containers = place.engine.containers.list(all=True, filters=labels)
    assert [one.labels["build-executor.release"] for one in containers] == [release.id]
    images = place.engine.images.list(filters=labels)
    assert [image.labels["build-executor.release"] for image in images] == [release.id]
    with place.target.locked(service, "afterwards") as ledger:
        state = ledger.state
    assert (state.live, state.switching, state.proven) == (release.id, None, (release.id,))


def assert_deaths_are_made_good(place: Place, releases: Releases) -> None:
    service, first = releases.service, releases.build("1.0.0")
    url = live(place, first)
    with Load(url) as load:
        for number, moment in enumerate(STEPS):
            second = releases.build(f"2.{number}.0")
            assert dies_deploying(place.settings, second, moment), moment
            roll_back(service, second.release.build_id, [place.target])
            assert_only(first, url, place)
        for number, moment in enumerate(STEPS_BACK):
            second = releases.build(f"3.{number}.0")
            live(place, second)
            assert dies_rolling_back(place.settings, second, moment), moment
            roll_back(service, second.release.build_id, [place.target])
            assert_only(first, url, place)
    assert load.failures == []


def test_whoever_dies_at_any_step_on_this_machines_engine_is_made_good(
    here: Place, releases: Releases
) -> None:
    assert_deaths_are_made_good(here, releases)


def test_whoever_dies_at_any_step_on_a_production_hosts_engine_is_made_good(
    there: Place, releases: Releases
) -> None:
    assert_deaths_are_made_good(there, releases)
