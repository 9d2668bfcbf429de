"""Images and containers on an engine of the tests, with everything that can go wrong."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_executor.errors import DeploymentFailed
from build_executor.models import Release
from build_executor.settings import Settings
from build_executor.targets.docker_engine import DockerEngine
from build_executor.targets.docker_images import ReleaseImages, plain_name
from build_executor.targets.docker_runtime import DockerRuntime
from build_executor.targets.docker_target import ImageStore, containers_here, lend_here
from build_executor.targets.host import HostTarget, Patience
from build_executor.targets.local import local_supervisor_down, local_target
from build_executor.targets.probing import release_at
from build_executor.targets.releases import ReleaseStore
from tests.fakes.docker import FakeEngine
from tests.fakes.release import Releases


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with FakeEngine(tmp_path / "docker.sock") as engine:
        yield engine


@pytest.fixture
def settings(engine: FakeEngine, tmp_path: Path) -> Settings:
    return Settings(
        build_executor_home=tmp_path / "home",
        docker=True,
        docker_host=engine.address,
        docker_base_image="base:1",
    )


@pytest.fixture
def target(settings: Settings) -> Iterator[HostTarget]:
    yield local_target(settings, Patience(start=3, switch=3, drain=1, lock=0.2))
    local_supervisor_down(settings)


@pytest.fixture
def release(releases: Releases) -> Release:
    return releases.build("1.0.0").release


# -- images


def test_a_base_that_no_engine_has_is_named_with_what_to_do(
    target: HostTarget, engine: FakeEngine, release: Release
) -> None:
    engine.images.clear()

    with pytest.raises(DeploymentFailed, match=r"no image `base:1`.*`docker pull`"):
        target.install(release)


def test_a_base_without_python_is_refused(
    target: HostTarget, engine: FakeEngine, release: Release
) -> None:
    engine.refusals["POST /containers/"] = 'exec: "python3": not found'

    with pytest.raises(DeploymentFailed, match=r"`base:1` has no Python 3\.11"):
        target.install(release)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"python": "3.9"}, r"`base:1` has Python 3\.9: 3\.11 or newer"),
        ({"libc": ""}, r"`base:1` has another C library .* not made of Alpine"),
    ],
)
def test_a_base_that_does_not_fit_is_refused(
    target: HostTarget, engine: FakeEngine, release: Release, said: dict[str, str], message: str
) -> None:
    engine.platform |= said

    with pytest.raises(DeploymentFailed, match=message):
        target.install(release)


def test_a_base_is_asked_for_its_python_once(
    target: HostTarget, engine: FakeEngine, releases: Releases
) -> None:
    target.install(releases.build("1.0.0").release)
    created: list[str] = []
    engine.before_create = created.append

    target.install(releases.build("2.0.0").release)

    assert ["draft" in name for name in created] == [True]
    assert len(engine.built) == 3
    assert engine.containers == {}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("write /x: no space left on device", "disk is full: make room"),
        ("The command returned a non-zero code: 1", "cannot be built: The command returned"),
    ],
)
def test_an_image_that_cannot_be_built_says_why(
    target: HostTarget, engine: FakeEngine, release: Release, said: str, message: str
) -> None:
    engine.refusals["build"] = said

    with pytest.raises(DeploymentFailed, match=message):
        target.install(release)


def test_dependencies_that_somebody_pruned_meanwhile_are_built_again(
    target: HostTarget, engine: FakeEngine, release: Release
) -> None:
    def prune_once(container: str) -> None:
        if "draft" in container:
            found = next(i for i in engine.images.values() if "dependencies" in i.tag)
            del engine.images[found.id]
            engine.before_create = lambda _: None

    engine.before_create = prune_once

    target.install(release)

    assert target.start(release.service, release.id)


def test_what_a_killed_deployer_left_of_an_image_is_in_nobodys_way(
    target: HostTarget, engine: FakeEngine, release: Release
) -> None:
    engine.refusals["POST /commit"] = "killed"
    with pytest.raises(DeploymentFailed):
        target.install(release)
    assert len(engine.containers) == 1
    engine.refusals.clear()

    target.install(release)

    assert engine.containers == {}


def test_dependencies_go_with_the_last_release_that_needs_them(
    target: HostTarget, engine: FakeEngine, releases: Releases
) -> None:
    first, second = (releases.build(version).release for version in ("1.0.0", "2.0.0"))
    target.install(first)
    target.install(second)

    target.archive(first.service, first.id)
    assert len(engine.images) == 3
    target.archive(second.service, second.id)

    assert [image.tag for image in engine.images.values()] == ["base:1"]


def test_dependencies_that_are_just_built_upon_stay(
    target: HostTarget, engine: FakeEngine, release: Release
) -> None:
    target.install(release)
    engine.refusals["DELETE /images/build-executor/dependencies"] = "conflict: dependent child"

    target.archive(release.service, release.id)

    assert len(engine.images) == 2


def test_different_releases_have_different_names_whatever_is_in_them() -> None:
    assert plain_name("shop", "1+a") != plain_name("shop", "1-a")
    assert len(plain_name("s" * 200, "1")) < 120


def test_an_image_is_built_once(target: HostTarget, engine: FakeEngine, release: Release) -> None:
    target.install(release)
    target.install(release)

    assert len(engine.built) == 2


def test_an_image_that_cannot_be_built_even_though_its_dependencies_are_there_is_an_error(
    target: HostTarget, engine: FakeEngine, releases: Releases
) -> None:
    target.install(releases.build("1.0.0").release)
    engine.refusals["POST /commit"] = "the disk is out of order"

    with pytest.raises(DeploymentFailed, match="refuses: the disk is out of order"):
        target.install(releases.build("2.0.0").release)


# -- containers


def test_a_crash_is_known_until_it_is_started_again(
    target: HostTarget, engine: FakeEngine, release: Release
) -> None:
    target.install(release)
    target.start(release.service, release.id)
    assert target.complaint(release.service, release.id) is None
    engine.container(release.id).said = "Traceback"

    engine.crash(release.id)

    complaint = str(target.complaint(release.service, release.id))
    assert complaint == "its process ended and was started again: Traceback"
    target.start(release.service, release.id)
    assert target.complaint(release.service, release.id) is None


def test_a_release_that_ends_at_once_says_why_and_can_be_tried_again(
    target: HostTarget, releases: Releases
) -> None:
    release = releases.build("1.0.0", crash="no such table").release
    target.install(release)

    for _ in range(2):
        with pytest.raises(DeploymentFailed, match="ended with 1: cannot start: no such table"):
            target.start(release.service, release.id)

    assert "no such table" in target.log(release.service, release.id)


def test_a_container_that_took_too_much_memory_is_told_as_such(
    target: HostTarget, engine: FakeEngine, release: Release
) -> None:
    target.install(release)
    target.start(release.service, release.id)
    engine.container(release.id).out_of_memory = True
    engine.container(release.id).status = "exited"

    complaint = str(target.complaint(release.service, release.id))

    assert complaint == "its container ran out of memory: it said nothing"


def test_a_container_that_was_removed_is_missed(target: HostTarget, release: Release) -> None:
    target.install(release)

    assert target.complaint(release.service, release.id) == "its container is gone"
    assert target.log(release.service, release.id) == ""


def test_an_address_that_somebody_has_is_not_insisted_on(
    target: HostTarget, engine: FakeEngine, release: Release
) -> None:
    target.install(release)
    taken = iter(["once"])

    def let_go_after_one() -> None:
        if next(taken, None) is None:
            engine.refusals.clear()

    engine.before_start = let_go_after_one
    engine.refusals["start"] = "Address already in use"

    assert target.start(release.service, release.id)
    assert len(engine.containers) == 1


def test_a_network_without_a_free_address_is_an_error(
    target: HostTarget, engine: FakeEngine, release: Release
) -> None:
    target.install(release)
    engine.refusals["start"] = "Address already in use"

    with pytest.raises(DeploymentFailed, match="no free address in the Docker network"):
        target.start(release.service, release.id)

    assert engine.containers == {}


def test_an_address_of_a_container_that_may_come_back_is_not_given_away(
    target: HostTarget, engine: FakeEngine, releases: Releases
) -> None:
    engine.subnet = "127.78.0.0/29"  # five containers
    built = [releases.build(f"1.0.{number}").release for number in range(6)]
    for release in built:
        target.install(release)
    for release in built[:5]:
        target.start(release.service, release.id)

    with pytest.raises(DeploymentFailed, match="no free address in the Docker network"):
        target.start(built[5].service, built[5].id)


def test_a_network_that_cannot_be_made_is_an_error(
    target: HostTarget, engine: FakeEngine, release: Release
) -> None:
    target.install(release)
    engine.networks.clear()
    engine.refusals["POST /networks/create"] = "could not find an available subnet"

    with pytest.raises(DeploymentFailed, match="refuses: could not find an available"):
        target.start(release.service, release.id)


def test_a_container_whose_port_was_published_by_an_earlier_version_is_found(
    target: HostTarget, settings: Settings, engine: FakeEngine, release: Release
) -> None:
    target.install(release)
    target.start(release.service, release.id)
    labels = engine.container(release.id).labels
    del labels["build-executor.address"]
    labels["build-executor.port"] = "30123"
    docker, store = (
        DockerEngine(settings.docker_host),
        ReleaseStore(settings.services, lock_seconds=1),
    )
    images = ReleaseImages(docker, containers_here(settings).scope, settings)

    address = DockerRuntime(docker, images, store, lend_here).start(release.service, release.id)

    assert address == "127.0.0.1:30123"


def test_a_container_that_the_engine_refuses_to_start_leaves_nothing(
    target: HostTarget, engine: FakeEngine, release: Release
) -> None:
    target.install(release)
    engine.refusals["start"] = "cgroups: cannot apply limits"

    with pytest.raises(DeploymentFailed, match="the Docker engine refuses: cgroups"):
        target.start(release.service, release.id)

    assert engine.containers == {}


def test_releases_that_ran_as_processes_still_do(
    target: HostTarget, settings: Settings, release: Release
) -> None:
    plain = local_target(settings.model_copy(update={"docker": False}))
    plain.install(release)
    try:
        assert target.start(release.service, release.id) == plain.start(release.service, release.id)
        assert target.log(release.service, release.id) == ""
        target.archive(release.service, release.id)

        store = ReleaseStore(settings.services, lock_seconds=1)
        assert not store.is_installed(release.service, release.id)
    finally:
        local_supervisor_down(settings)


def test_locks_states_and_shared_folders_are_where_they_were(settings: Settings) -> None:
    files = ReleaseStore(settings.services, lock_seconds=1)
    images = ReleaseImages(DockerEngine(settings.docker_host), "x", settings)
    with files.locked("shop", "build") as ledger:
        ledger.record(ledger.state)

    store = ImageStore(images, files)

    assert store.services() == ["shop"]
    assert store.folder("shop", "1") == files.folder("shop", "1")
    assert store.shared("shop", "data") == files.shared("shop", "data")


def test_down_ends_every_container_of_ours_and_no_other(
    target: HostTarget, settings: Settings, engine: FakeEngine, release: Release, tmp_path: Path
) -> None:
    other = settings.model_copy(update={"build_executor_home": tmp_path / "other"})
    for each in (target, local_target(other)):
        each.install(release)
        each.start(release.service, release.id)

    local_supervisor_down(settings)

    (left,) = engine.containers.values()
    assert release_at(f"http://{left.address}:8000") == release.id


def test_containers_run_as_we_do(tmp_path: Path) -> None:
    with as_nobody():
        assert lend_here(tmp_path) == f"{os.geteuid()}:{os.getegid()}"


# -- engines


def test_without_an_engine_it_is_said_what_to_start(tmp_path: Path) -> None:
    engine = DockerEngine(f"unix://{tmp_path}/none.sock")

    with pytest.raises(DeploymentFailed, match=r"no Docker engine .* start it"), engine.client():
        pass


def test_whoever_may_not_use_the_engine_is_told_how_to(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    engine = DockerEngine(f"unix://{tmp_path}/closed/docker.sock")

    with as_nobody(), pytest.raises(DeploymentFailed, match="group `docker`"), engine.client():
        pass


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """For root every door is open."""
    who = os.geteuid()
    if who == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(who)


def test_an_engine_may_be_elsewhere() -> None:
    engine = DockerEngine("tcp://127.0.0.1:1")

    with pytest.raises(DeploymentFailed, match="answers at tcp://127"), engine.client():
        pass
