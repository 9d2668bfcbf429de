"""A production host with Docker, in this process: its engine and its switch."""

import tempfile
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pytest

from build_executor.errors import DeploymentFailed
from build_executor.models import Release
from build_executor.settings import Settings
from build_executor.targets.host import HostTarget, Patience
from build_executor.targets.probing import release_at
from build_executor.targets.production import host_parts
from build_executor.targets.shell import Login, Said
from tests.fakes.docker import Container, FakeEngine
from tests.fakes.production import FakeShell
from tests.fakes.release import Releases


class Host:
    """A host with an engine; `folder` is short, since there are sockets in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.shell = folder, FakeShell()
        self.engine = FakeEngine(folder / "docker.sock")
        self.shell.sockets["/var/run/docker.sock"] = str(folder / "docker.sock")

    def target(self, bind: str = "127.0.0.1", runtime: str = "docker") -> HostTarget:
        settings = Settings(
            build_executor_home=self.folder / "home",
            production_runtime="docker" if runtime == "docker" else "systemd",
            production_root=PurePosixPath(self.folder) / "apps",
            production_bind=IPv4Address(bind),
            docker_base_image="base:1",
        )
        login = Login(user="deploy", host="127.0.0.1")
        parts = host_parts(self.shell, login, lambda *_: None, settings, 0.2)
        return HostTarget("production", parts, patience=Patience(start=3, switch=3, drain=1))

    @property
    def switches(self) -> list[Container]:
        found = self.engine.containers.values()
        return [container for container in found if "-switch" in container.name]


class ForbiddenEngine(FakeShell):
    """The shell of a user who is not in the group `docker`; for root every door is open."""

    def run(
        self, argv: tuple[str, ...], *, stdin: tuple[bytes | BinaryIO, ...] = (), timeout: float
    ) -> Said:
        if argv[-1].endswith("docker.sock"):
            return Said(output="PermissionError: [Errno 13] Permission denied", status=1)
        return super().run(argv, stdin=stdin, timeout=timeout)


@pytest.fixture
def host() -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="h") as folder:
        host = Host(Path(folder))
        with host.engine, host.shell:
            yield host


@pytest.fixture
def release(releases: Releases) -> Release:
    return releases.build("1.0.0").release


def live(target: HostTarget, release: Release) -> str:
    target.install(release)
    target.start(release.service, release.id)
    port = target.reserve_port(release.service, release.port)
    return target.switch(release.service, release.id, port)


def test_the_switch_and_its_spare_are_containers_of_the_hosts_network(
    host: Host, release: Release
) -> None:
    live(host.target(), release)
    live(host.target(), release)

    first, spare = host.switches
    assert first.config["Cmd"] == spare.config["Cmd"]
    assert first.config["HostConfig"]["NetworkMode"] == "host"
    assert first.config["HostConfig"]["RestartPolicy"]["Name"] == "always"


def test_a_switch_of_another_version_is_replaced(host: Host, release: Release) -> None:
    live(host.target(), release)
    before = host.switches
    for container in before:
        container.labels["build-executor.switch"] = "older"

    url = live(host.target(), release)

    assert not {container.id for container in before} & {c.id for c in host.switches}
    assert len(host.switches) == 2
    assert release_at(url) == release.id


def test_a_switch_of_a_time_before_containers_keeps_the_ports(
    host: Host, releases: Releases
) -> None:
    first, second = (releases.build(version).release for version in ("1.0.0", "2.0.0"))
    live(host.target(runtime="systemd"), first)

    url = live(host.target(), second)

    assert host.switches == []
    assert release_at(url) == second.id


def test_a_switch_that_another_deployer_starts_at_the_same_time_is_used(
    host: Host, release: Release
) -> None:
    live(host.target(), release)
    (_, spare) = host.switches
    host.engine.hidden.add(spare.name)

    url = live(host.target(), release)

    assert len(host.switches) == 2
    assert release_at(url) == release.id


def test_a_switch_that_the_engine_refuses_is_an_error(host: Host, release: Release) -> None:
    target = host.target()
    target.install(release)
    target.start(release.service, release.id)
    host.engine.refusals["POST /containers/create"] = "no such network"

    with pytest.raises(DeploymentFailed, match="the Docker engine refuses: no such network"):
        target.switch(release.service, release.id, release.port or 0)


def test_a_switch_that_does_not_start_says_where_to_look(
    host: Host, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("build_executor.targets.docker_production._TRIES", 1)
    host.engine.refusals["switch"] = "it ends at once"

    with pytest.raises(
        DeploymentFailed, match=r"deploy@fake: the switch does not start: `docker logs .*-switch`"
    ):
        live(host.target(), release)


def test_a_host_without_an_engine_is_told_what_to_start(host: Host, release: Release) -> None:
    host.shell.sockets["/var/run/docker.sock"] = str(host.folder / "none.sock")

    with pytest.raises(DeploymentFailed, match="deploy@fake: no Docker engine answers there"):
        host.target().install(release)


def test_an_engine_that_is_lost_later_is_named_by_its_host(host: Host, release: Release) -> None:
    target = host.target()
    target.install(release)
    host.engine.refusals["everything"] = "the connection ends"

    with pytest.raises(DeploymentFailed, match="no Docker engine answers on deploy@fake: "):
        target.start(release.service, release.id)


def test_a_user_who_may_not_use_the_engine_is_told_how_to(host: Host, release: Release) -> None:
    host.shell = ForbiddenEngine(sockets=host.shell.sockets)

    with pytest.raises(DeploymentFailed, match=r"deploy@fake: this user may not use .* `docker`"):
        host.target().install(release)


def test_a_data_folder_that_cannot_be_made_is_an_error(host: Host, release: Release) -> None:
    target = host.target()
    target.install(release)
    (host.folder / "apps" / release.service).mkdir(parents=True, exist_ok=True)
    (host.folder / "apps" / release.service / "shared").write_text("a file")

    with pytest.raises(DeploymentFailed, match=r"deploy@fake: cannot make .*/shared/data"):
        target.start(release.service, release.id)
