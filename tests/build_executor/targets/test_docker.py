"""Releases in containers for real: an engine, images, the switch, and services that answer HTTP."""

import contextlib
import json
import os
import signal
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from build_executor.errors import DeploymentFailed
from build_executor.models import Release
from build_executor.settings import Settings
from build_executor.targets.local import LocalTarget, local_supervisor_down, local_target
from build_executor.targets.probing import await_release, release_at
from tests.fakes.load import Load
from tests.fakes.release import Releases, digest_of, write_archive
from tests.fakes.wheels import make_wheel

pytestmark = pytest.mark.full
# Six users who are turned away come again every 10 ms: in a second without anybody, hundreds. Only
# what is under way at the end of a process is lost, which takes its time on a machine with much
# else to do.
A_FEW = 60


@pytest.fixture
def engine(docker_engine: str) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.DockerClient(base_url=docker_engine)) as client:
        yield client


@pytest.fixture
def greeting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The line of a lock that demands a package of ours; no index is asked for it."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    return make_wheel(tmp_path / "wheels", "greeting", "said = 'hello'\n")


def live(target: LocalTarget, release: Release) -> str:
    """The release's public address; what was live before stays warm."""
    target.install(release)
    target.start(release.service, release.id)
    port = target.reserve_port(release.service, release.port)
    return target.switch(release.service, release.id, port)


def container_of(engine: docker.DockerClient, release: Release) -> Container:
    labels = [f"build-executor.release={release.id}", f"build-executor.service={release.service}"]
    (container,) = engine.containers.list(all=True, filters={"label": labels})
    return container


def dependency_images(engine: docker.DockerClient) -> set[str]:
    images = engine.images.list(filters={"label": "build-executor.kind=dependencies"})
    return {image.id for image in images if image.tags}


def inside(engine: docker.DockerClient, release: Release, script: str) -> str:
    argv = ["python3", "-c", script]
    return str(container_of(engine, release).exec_run(argv).output.decode().strip())


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not reached"
        time.sleep(0.02)


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own service
        body: dict[str, Any] = json.loads(response.read())
    return body


def with_dependency(release: Release, folder: Path, line: str) -> Release:
    """The same release with one more line in its lock, which its server imports."""
    files = {
        "uvicorn/__main__.py": "import greeting, runpy; runpy.run_module('server')",
        "server.py": _source(release, "uvicorn/__main__.py"),
        "behaviour.json": "{}",
        "requirements.txt": line,
        "VERSION": release.version,
    }
    archive = write_archive(folder / "with.tar.gz", files)
    digest = digest_of(archive)
    identity = {"digest": digest, "id": f"{release.version}-{digest[:12]}"}
    return release.model_copy(update={"archive": archive, **identity})


def _source(release: Release, path: str) -> str:
    with tarfile.open(release.archive) as tar:
        content = tar.extractfile(path)
        assert content is not None
        return content.read().decode()


# -- deploying


def test_a_redeployment_under_load_loses_no_request(
    contained: LocalTarget, releases: Releases
) -> None:
    first, second = (releases.build(version).release for version in ("1.0.0", "2.0.0"))
    url = live(contained, first)

    with Load(url) as load:
        live(contained, second)
        contained.stop(first.service, first.id)
        load.until(lambda: load.answers[second.id] > 50)

    assert load.failures == []


def test_data_is_shared_between_releases(contained: LocalTarget, releases: Releases) -> None:
    first, second = (releases.build(version).release for version in ("1.0.0", "2.0.0"))
    url = live(contained, first)
    get(f"{url}/note")
    live(contained, second)

    assert get(f"{url}/note")["notes"] == [first.id, second.id]


def test_two_services_may_be_deployed_at_once(
    docker_settings: Settings, contained: LocalTarget, releases: Releases, tmp_path: Path
) -> None:
    others = Releases(tmp_path / "others", service=f"other-{releases.service}")
    both = [made.build("1.0.0").release for made in (releases, others)]

    with ThreadPoolExecutor(2) as deployers:
        urls = list(deployers.map(lambda r: live(local_target(docker_settings), r), both))

    assert [release_at(url) for url in urls] == [release.id for release in both]
    contained.archive(both[1].service, both[1].id)


def test_a_service_outlives_its_deployer(
    contained: LocalTarget, releases: Releases, docker_settings: Settings
) -> None:
    release = releases.build("1.0.0").release
    url = live(contained, release)

    address = local_target(docker_settings).start(release.service, release.id)

    assert release_at(url) == release_at(address) == release.id


def test_a_process_is_replaced_by_a_container_without_a_gap_and_back(
    contained: LocalTarget,
    releases: Releases,
    docker_settings: Settings,
    engine: docker.DockerClient,
) -> None:
    processes = LocalTarget(docker_settings.services)
    first, second = (releases.build(version).release for version in ("1.0.0", "2.0.0"))
    url = live(processes, first)

    with Load(url) as load:
        live(contained, second)
        load.until(lambda: load.answers[second.id] > 10)
        contained.start(first.service, first.id)
        contained.switch(first.service, first.id, first.port or 0)
        contained.archive(second.service, second.id)
        load.until(lambda: load.answers[first.id] > 10)
    contained.archive(first.service, first.id)

    assert load.failures == []
    assert f"{first.service}@{first.id}" not in contained.supervisor.programs()
    labels = [f"build-executor.service={first.service}"]
    assert engine.containers.list(all=True, filters={"label": labels}) == []


def test_down_ends_the_containers_and_up_brings_them_back(
    docker_settings: Settings, releases: Releases, engine: docker.DockerClient, tmp_path: Path
) -> None:
    settings = docker_settings.model_copy(update={"build_executor_home": tmp_path / "home"})
    release, target = releases.build("1.0.0").release, local_target(settings)
    try:
        url = live(target, release)
        private = container_of(engine, release).labels["build-executor.address"]

        local_supervisor_down(settings)

        assert release_at(url) is None
        assert release_at(f"http://{private}:8000") is None
        target.start(release.service, release.id)
        assert release_at(target.switch(release.service, release.id, release.port or 0))
    finally:
        target.archive(release.service, release.id)
        local_supervisor_down(settings)


# -- what is kept, and what is not


def test_the_dependencies_of_one_lock_are_one_image(
    contained: LocalTarget, releases: Releases, engine: docker.DockerClient
) -> None:
    contained.install(releases.build("1.0.0").release)
    before = dependency_images(engine)

    contained.install(releases.build("2.0.0").release)

    assert dependency_images(engine) == before


def test_the_packages_of_the_lock_are_in_the_container(
    contained: LocalTarget,
    releases: Releases,
    engine: docker.DockerClient,
    tmp_path: Path,
    greeting: str,
) -> None:
    release = with_dependency(releases.build("1.0.0").release, tmp_path, greeting)

    contained.install(release)
    contained.start(release.service, release.id)

    said = inside(engine, release, "import greeting; print(greeting.said, greeting.__cached__)")
    assert said.startswith("hello /dependencies/__pycache__/greeting.cpython-3")
    assert inside(engine, release, "import os; print(os.listdir('/dependencies/__pycache__'))")


def test_images_of_archived_releases_are_removed_and_those_of_others_are_not(
    contained: LocalTarget,
    releases: Releases,
    engine: docker.DockerClient,
    tmp_path: Path,
    greeting: str,
) -> None:
    kept = releases.build("1.0.0").release
    contained.install(kept)
    before = {image.id for image in engine.images.list()}
    release = with_dependency(releases.build("2.0.0").release, tmp_path, greeting)
    contained.install(release)
    contained.start(release.service, release.id)

    contained.archive(release.service, release.id)

    assert {image.id for image in engine.images.list()} == before


def test_a_release_whose_archive_was_changed_is_refused(
    contained: LocalTarget, releases: Releases
) -> None:
    release = releases.build("1.0.0").release
    with release.archive.open("ab") as archive:
        archive.write(b"more")

    with pytest.raises(DeploymentFailed, match="was changed"):
        contained.install(release)


# -- crashes


def test_a_crashed_service_comes_back_and_it_is_known(
    contained: LocalTarget, releases: Releases
) -> None:
    release = releases.build("1.0.0").release
    url = live(contained, release)
    assert contained.complaint(release.service, release.id) is None

    with pytest.raises((urllib.error.URLError, ConnectionError)):
        get(f"{url}/crash")
    until(lambda: release_at(url) == release.id)

    assert "started again" in str(contained.complaint(release.service, release.id))
    contained.start(release.service, release.id)
    assert contained.complaint(release.service, release.id) is None


def test_a_killed_container_comes_back(
    contained: LocalTarget, releases: Releases, engine: docker.DockerClient
) -> None:
    release = releases.build("1.0.0").release
    url = live(contained, release)

    os.kill(container_of(engine, release).attrs["State"]["Pid"], signal.SIGKILL)

    until(lambda: contained.complaint(release.service, release.id) is not None)
    await_release(url, release.id, 10, lambda: None)


def test_a_release_that_cannot_start_says_why(contained: LocalTarget, releases: Releases) -> None:
    release = releases.build("1.0.0", crash="no such table").release
    contained.install(release)

    with pytest.raises(DeploymentFailed, match="cannot start: no such table"):
        contained.start(release.service, release.id)

    assert "no such table" in contained.log(release.service, release.id)


def test_users_wait_while_a_crashed_service_comes_back(
    contained: LocalTarget, releases: Releases, engine: docker.DockerClient
) -> None:
    release = releases.build("1.0.0").release
    url = live(contained, release)
    address = contained.start(release.service, release.id)

    with Load(url) as load:
        os.kill(container_of(engine, release).attrs["State"]["Pid"], signal.SIGKILL)
        answered = load.answers[release.id]
        load.until(lambda: load.answers[release.id] > answered + 50)

    assert len(load.failures) < A_FEW
    assert release_at(address) == release.id


# -- rights


def test_a_service_can_write_to_its_data_and_to_tmp_only(
    contained: LocalTarget, releases: Releases, engine: docker.DockerClient
) -> None:
    release = releases.build("1.0.0").release
    live(contained, release)
    script = """
import pathlib
for folder in ("/app", "/dependencies", "/etc", "/", "/data", "/tmp"):
    try:
        (pathlib.Path(folder) / "written").write_text("x")
        print(folder, end=" ")
    except OSError:
        pass
"""

    assert inside(engine, release, script) == "/data /tmp"


def test_a_service_has_no_rights_to_lose(
    contained: LocalTarget, releases: Releases, engine: docker.DockerClient
) -> None:
    release = releases.build("1.0.0").release
    live(contained, release)
    status = inside(engine, release, "print(open('/proc/1/status').read())").splitlines()
    facts = dict(line.split(":\t", 1) for line in status if ":\t" in line)

    assert "0" not in facts["Uid"].split()
    assert {int(facts[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
    assert facts["NoNewPrivs"] == "1"


def test_a_service_is_limited_and_not_published(
    contained: LocalTarget, releases: Releases, engine: docker.DockerClient
) -> None:
    release = releases.build("1.0.0").release
    live(contained, release)

    host = container_of(engine, release).attrs["HostConfig"]

    assert host["RestartPolicy"]["Name"] == "always"
    assert (host["PidsLimit"], host["Memory"] >> 20, host["NanoCpus"]) == (256, 512, 10**9)
    assert host["MemorySwap"] == host["Memory"]  # no swap
    assert host["Ulimits"] == [{"Name": "core", "Hard": 0, "Soft": 0}]
    assert (host["ReadonlyRootfs"], host["Init"], host["CapDrop"]) == (True, True, ["ALL"])
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert not host["PortBindings"]
