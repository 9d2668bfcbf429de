"""A file system that is full, for real: here and on a production host."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from build_executor import command
from build_executor.deployment import Rollout, deploy, prove, roll_back
from build_executor.errors import CommandFailed, DeploymentFailed
from build_executor.models import Check, VerifiedRelease
from build_executor.targets.host import HostTarget, Patience
from build_executor.targets.local import LocalTarget
from build_executor.targets.probing import release_at
from build_executor.targets.production import host_parts, production_shell
from build_executor.targets.shell import Login
from tests.fakes.load import Load
from tests.fakes.release import Releases
from tests.production_host import ProductionHost, start_host

pytestmark = pytest.mark.full

PATIENCE = Patience(start=30, switch=30, drain=3)
FULL = "No space left on device|too little space in"
TOO_MUCH = 3 * 2**20  # twice that, unpacked


@dataclass(frozen=True)
class Small:
    """A small disk: how it is entered, its folder, and what runs a script where it is."""

    enter: Callable[[], HostTarget]
    root: str
    run: Callable[[str], str]

    def fill(self) -> None:
        self.run(f"dd if=/dev/zero of={self.root}/other bs=4k 2>/dev/null || true")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Small]:
    """4 MiB of this machine's memory."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    root = tmp_path / "small"
    root.mkdir()
    try:
        command.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(root)], timeout=30)
    except CommandFailed as error:
        pytest.skip(f"no small disk can be mounted: {error}")
    opened: list[LocalTarget] = []

    def enter() -> HostTarget:
        opened.append(LocalTarget(root, patience=PATIENCE))
        return opened[-1]

    def run(script: str) -> str:
        return command.run(["sh", "-c", script], timeout=60).output

    yield Small(enter, str(root), run)
    for target in opened[:1]:
        target.supervisor.shut_down()
    command.run(["umount", str(root)], timeout=30)


@pytest.fixture(scope="module")
def small_host(
    docker_engine: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProductionHost]:
    """A production host of its own, with 70 MiB: 64 have to be free for a deployment."""
    with closing(docker.DockerClient(base_url=docker_engine)) as client:
        host = start_host(client, tmp_path_factory.mktemp("small-host"), "small")
        try:
            host.run("mount -t tmpfs -o size=70m,uid=1000,gid=1000,mode=755 none /srv/apps")
            yield host
        finally:
            host.stop()


@pytest.fixture
def there(small_host: ProductionHost) -> Iterator[Small]:
    settings = small_host.settings()
    login = Login.parse(small_host.login)

    def enter() -> HostTarget:
        shell = production_shell(settings, login)
        parts = host_parts(shell, login, lambda *_: None, settings, 2)
        return HostTarget("production", parts, patience=PATIENCE)

    yield Small(enter, "/srv/apps", small_host.run)
    small_host.run("rm -f /srv/apps/other")


@pytest.fixture(params=["here", "there"])
def disk(request: pytest.FixtureRequest) -> Small:
    found: Small = request.getfixturevalue(request.param)
    return found


def passes(_: str) -> tuple[Check, ...]:
    return (Check(name="GET /health", passed=True),)


def live(verified: VerifiedRelease, disk: Small) -> str:
    target = disk.enter()
    (deployed,) = deploy(verified, [target], passes, Rollout(guard_seconds=0))
    prove([deployed], [target])
    return deployed.url


def test_a_release_that_is_too_large_leaves_nothing_and_users_notice_nothing(
    disk: Small, releases: Releases
) -> None:
    first = releases.build("1.0.0")
    large = releases.build("2.0.0", blob=secrets.token_hex(TOO_MUCH))
    url = live(first, disk)

    with Load(url) as load, pytest.raises(DeploymentFailed, match=FULL):
        live(large, disk)

    assert load.failures == []
    assert release_at(url) == first.release.id
    folder = f"{disk.root}/{releases.service}/releases"
    assert disk.run(f"ls -A {folder}").split() == [first.release.id]


def test_the_way_back_is_open_on_a_full_disk(disk: Small, releases: Releases) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    url = live(first, disk)
    live(second, disk)
    disk.fill()

    with Load(url) as load:
        (report,) = roll_back(releases.service, second.release.build_id, [disk.enter()])

    assert load.failures == []
    assert (report.rollback_status, report.service_health) == ("success", "active")
    assert release_at(url) == first.release.id
