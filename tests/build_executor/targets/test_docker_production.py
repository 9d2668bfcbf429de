"""Production over SSH with Docker, for real: sshd, an unprivileged user, an engine, the switch."""

import contextlib
import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from build_executor.models import Release
from build_executor.settings import Settings
from build_executor.targets import open_targets
from build_executor.targets.host import HostTarget, Patience
from build_executor.targets.probing import await_release, release_at
from build_executor.targets.production import production_targets
from build_executor.targets.target import Target
from tests.docker_engine import remove_images
from tests.docker_host import HOST, docker_host
from tests.fakes.load import Load
from tests.fakes.release import Releases

pytestmark = pytest.mark.full
# Six users who are turned away come again every 10 ms: in a second without anybody, hundreds. Only
# what is under way at the end of a process is lost, which takes its time on a machine with much
# else to do.
A_FEW = 60


@pytest.fixture(scope="module")
def engine(docker_engine: str) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.DockerClient(base_url=docker_engine)) as client:
        yield client


@pytest.fixture(scope="module")
def settings(
    docker_engine: str, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("production")
    socket = Path(docker_engine.removeprefix("unix://"))
    with docker_host(engine, socket, folder) as settings:
        yield settings


@pytest.fixture(scope="module")
def target(
    settings: Settings, engine: docker.DockerClient, docker_engine: str
) -> Iterator[HostTarget]:
    (target,) = production_targets(settings, Patience(start=15, switch=5, drain=3, lock=1))
    yield target
    for container in ours(engine, settings):
        container.remove(force=True)
    on_engine = settings.model_copy(update={"docker_host": docker_engine})
    remove_images(on_engine, settings.production_root)


def ours(engine: docker.DockerClient, settings: Settings) -> list[Container]:
    root = str(settings.production_root)
    found = engine.containers.list(all=True, filters={"label": "build-executor.scope"})
    return [c for c in found if any(root in bind for bind in c.attrs["HostConfig"]["Binds"])]


def live(target: Target, release: Release) -> str:
    target.install(release)
    target.start(release.service, release.id)
    port = target.reserve_port(release.service, release.port)
    return target.switch(release.service, release.id, port)


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own service
        body: dict[str, Any] = json.loads(response.read())
    return body


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not reached"
        time.sleep(0.05)


def test_a_release_goes_live_in_a_container_of_the_host(
    target: HostTarget, releases: Releases, settings: Settings, engine: docker.DockerClient
) -> None:
    release = releases.build("1.0.0").release

    url = live(target, release)

    assert release_at(url) == release.id
    assert get(f"{url}/note")["notes"] == [release.id]
    names = [container.name for container in ours(engine, settings)]
    assert len([name for name in names if "-switch" in str(name)]) == 2
    data = Path(settings.production_root) / release.service / "shared" / "data"
    assert (data / "notes").stat().st_uid == data.stat().st_uid == 1000


def test_a_redeployment_under_load_loses_no_request(target: HostTarget, releases: Releases) -> None:
    first, second = (releases.build(version).release for version in ("1.0.0", "2.0.0"))
    url = live(target, first)

    with Load(url) as load:
        live(target, second)
        target.stop(first.service, first.id)
        load.until(lambda: load.answers[second.id] > 50)
    target.archive(first.service, first.id)

    assert load.failures == []


def test_another_process_finds_what_is_live(
    target: HostTarget, releases: Releases, settings: Settings
) -> None:
    release = releases.build("1.0.0").release
    live(target, release)

    (other,) = open_targets("production", settings)

    assert other.reserve_port(release.service, release.port) == release.port
    assert release_at(other.start(release.service, release.id)) == release.id


def test_a_switch_that_is_killed_is_replaced_at_once(
    target: HostTarget, releases: Releases, settings: Settings, engine: docker.DockerClient
) -> None:
    release = releases.build("1.0.0").release
    url = live(target, release)
    switch = next(c for c in ours(engine, settings) if str(c.name).endswith("-switch"))

    with Load(url) as load:
        os.kill(switch.attrs["State"]["Pid"], signal.SIGKILL)
        answered = load.answers[release.id]
        load.until(lambda: load.answers[release.id] > answered + 50)

    assert len(load.failures) < A_FEW


def test_after_a_lost_connection_the_engine_is_reached_by_a_new_one(
    target: HostTarget, releases: Releases, engine: docker.DockerClient
) -> None:
    release = releases.build("1.0.0").release
    target.install(release)
    (host,) = engine.containers.list(filters={"label": f"build-executor-tests={HOST}"})

    host.exec_run(["pkill", "-KILL", "-u", "deploy", "sshd"])

    assert release_at(target.start(release.service, release.id)) == release.id


def test_a_crash_is_known_and_repaired(target: HostTarget, releases: Releases) -> None:
    release = releases.build("1.0.0").release
    url = live(target, release)

    with contextlib.suppress(OSError):
        get(f"{url}/crash")

    until(lambda: "started again" in str(target.complaint(release.service, release.id)))
    await_release(url, release.id, 10, lambda: None)


def test_what_is_archived_is_gone(
    target: HostTarget, releases: Releases, settings: Settings, engine: docker.DockerClient
) -> None:
    release = releases.build("1.0.0").release
    live(target, release)

    target.archive(release.service, release.id)
    target.archive(release.service, release.id)

    labels = [f"build-executor.service={release.service}"]
    assert engine.containers.list(all=True, filters={"label": labels}) == []
    assert engine.images.list(filters={"label": labels}) == []
    assert settings.production_root
