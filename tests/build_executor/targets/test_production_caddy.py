"""Production behind the Caddy of a real host, asked through SSH by a user without rights."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest

from build_executor.deployment import Rollout, deploy, prove, roll_back
from build_executor.errors import DeploymentFailed
from build_executor.models import Check, Deployment, VerifiedRelease
from build_executor.targets.host import HostTarget, Patience
from build_executor.targets.probing import release_at
from build_executor.targets.production import production_targets
from tests.caddy_host import caddy_host
from tests.fakes.load import Load
from tests.fakes.release import Releases
from tests.production_host import ProductionHost

pytestmark = pytest.mark.full

ROLLOUT = Rollout(guard_seconds=0.2, canary_steps=(10, 50), canary_step_seconds=0.2)


@pytest.fixture(scope="module")
def host(docker_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductionHost]:
    with (
        closing(docker.DockerClient(base_url=docker_engine)) as client,
        caddy_host(client, tmp_path_factory.mktemp("caddy-host")) as host,
    ):
        yield host


def entered(host: ProductionHost, **others: object) -> HostTarget:
    """The host as a process that has just started sees it."""
    settings = host.settings(switch="caddy", keep_releases=2, **others)
    (target,) = production_targets(settings, Patience(start=30, switch=30, drain=3))
    return target


def passes(_: str) -> tuple[Check, ...]:
    return (Check(name="GET /health", passed=True),)


def live(host: ProductionHost, verified: VerifiedRelease) -> Deployment:
    target = entered(host)
    (deployed,) = deploy(verified, [target], passes, ROLLOUT)
    prove([deployed], [target])
    return deployed


def await_release(url: str, release_id: str) -> None:
    deadline = time.monotonic() + 30
    while release_at(url) != release_id:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_unnoticed(load: Load, host: ProductionHost) -> None:
    """Only where the kernel cannot migrate them may connections be reset that nobody accepted."""
    migrates = host.run("cat /proc/sys/net/ipv4/tcp_migrate_req").strip() == "1"
    resets = [failure for failure in load.failures if "ConnectionResetError" in failure]
    assert load.failures == ([] if migrates else resets)


def test_users_get_the_new_release_and_the_old_one_back(
    host: ProductionHost, releases: Releases
) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    url = live(host, first).url
    assert url == f"http://{host.address}:{releases.port}"

    with Load(url, may_drop=True) as load:
        live(host, second)
        load.until(lambda: load.answers[second.release.id] > 50)
        (report,) = roll_back(releases.service, second.release.build_id, [entered(host)])
        before = load.answers[first.release.id]
        load.until(lambda: load.answers[first.release.id] > before + 50)

    assert_unnoticed(load, host)
    assert (report.rollback_status, report.service_health) == ("success", "active")
    assert release_at(url) == first.release.id


def test_a_gate_that_closes_leaves_users_where_they_are(
    host: ProductionHost, releases: Releases
) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    url = live(host, first).url

    with Load(url, may_drop=True) as load, pytest.raises(DeploymentFailed, match="GET /health"):
        deploy(
            second, [entered(host)], lambda _: (Check(name="GET /health", passed=False),), ROLLOUT
        )

    assert_unnoticed(load, host)
    assert set(load.answers) == {first.release.id}


def test_a_service_and_its_address_come_back_after_a_crash_and_a_reboot(
    host: ProductionHost, releases: Releases
) -> None:
    first = releases.build("1.0.0")
    url = live(host, first).url

    host.run("systemctl kill --signal KILL caddy-api")
    await_release(url, first.release.id)
    host.reboot()

    await_release(url, first.release.id)


def test_the_only_public_ports_are_those_of_services(
    host: ProductionHost, releases: Releases
) -> None:
    live(host, releases.build("1.0.0"))

    with pytest.raises(OSError, match=r"(?i)refused"):
        urllib.request.urlopen(f"http://{host.address}:2019/config/", timeout=5)
    ours = json.loads(host.run("cat /var/lib/caddy/.config/caddy/autosave.json"))
    server = ours["apps"]["http"]["servers"][f"build-executor-{releases.service}"]
    assert server["listen"] == [f"0.0.0.0:{releases.port}"]


def test_a_host_without_its_caddy_is_named(host: ProductionHost, releases: Releases) -> None:
    host.run("systemctl stop caddy-api")
    try:
        with pytest.raises(DeploymentFailed, match=r"no Caddy answers at http://127\.0\.0\.1:2019"):
            deploy(releases.build("1.0.0"), [entered(host)], passes, ROLLOUT)
    finally:
        host.run("systemctl start caddy-api")
    assert host.run(f"ls -A /srv/apps/{releases.service}/releases 2>/dev/null") == ""
