"""Production for real: Debian with systemd and sshd, and a user who may do nothing as root."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import docker
import pytest

from build_executor.deployment import Rollout, deploy, prove, retire, roll_back
from build_executor.errors import DeploymentFailed
from build_executor.models import Check, Deployment, VerifiedRelease
from build_executor.targets.host import HostTarget, Patience
from build_executor.targets.probing import release_at
from build_executor.targets.production import host_parts, production_shell
from build_executor.targets.shell import Login
from tests.fakes.dying_deployer import dies_deploying, dies_rolling_back
from tests.fakes.load import Load
from tests.fakes.release import Releases
from tests.production_host import ProductionHost, start_host

pytestmark = pytest.mark.full

BOUND_SECONDS = 60  # half of it on a machine that does nothing else
NO_GUARD = Rollout(guard_seconds=0)


@pytest.fixture(scope="module")
def second_host(
    docker_engine: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProductionHost]:
    with closing(docker.DockerClient(base_url=docker_engine)) as client:
        host = start_host(client, tmp_path_factory.mktemp("second"), "second")
        try:
            yield host
        finally:
            host.stop()


def entered(host: ProductionHost, name: str = "production", root: str = "/srv/apps") -> HostTarget:
    """The host as a process that has just started sees it."""
    settings = host.settings(production_root=PurePosixPath(root))
    login = Login.parse(host.login)
    shell = production_shell(settings, login)
    parts = host_parts(shell, login, lambda *_: None, settings, 2)
    return HostTarget(name, parts, patience=Patience(start=10, switch=5, drain=3))


def passes(_: str) -> tuple[Check, ...]:
    return (Check(name="GET /health", passed=True),)


def live(verified: VerifiedRelease, *targets: HostTarget) -> tuple[Deployment, ...]:
    deployed = deploy(verified, targets, passes, NO_GUARD)
    prove(deployed, targets)
    return deployed


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own service
        body: dict[str, Any] = json.loads(response.read())
    return body


def await_release(url: str, release_id: str) -> None:
    deadline = time.monotonic() + BOUND_SECONDS
    while release_at(url) != release_id:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_only(verified: VerifiedRelease, url: str, host: ProductionHost) -> None:
    """One release of the service is on the host, it answers, and the lock is free."""
    release = verified.release
    assert release_at(url) == release.id
    folders = host.run(f"ls -A /srv/apps/{release.service}/releases").split()
    assert folders == [release.id]
    units = host.run("ls /home/deploy/.config/systemd/user").split()
    assert [unit for unit in units if f"-{release.service}@" in unit] == [
        f"build-executor-{release.service}@{release.id}.service"
    ]
    with entered(host).locked(release.service, "somebody else"):
        pass


@contextmanager
def failing(reason: str) -> Iterator[None]:
    start = time.monotonic()
    with pytest.raises(DeploymentFailed, match=reason):
        yield
    assert time.monotonic() - start < BOUND_SECONDS


# -- what runs there


def test_a_redeployment_under_load_loses_no_request(
    production_host: ProductionHost, releases: Releases
) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    (deployed,) = live(first, entered(production_host))
    assert deployed.url == f"http://{production_host.address}:{releases.port}"

    with Load(deployed.url) as load:
        live(second, entered(production_host))
        load.until(lambda: load.answers[second.release.id] > 50)

    assert load.failures == []
    assert_installed_both(first, second, production_host)


def assert_installed_both(old: VerifiedRelease, new: VerifiedRelease, host: ProductionHost) -> None:
    """The old one is there to go back to, and stopped."""
    service = new.release.service
    folders = host.run(f"ls -A /srv/apps/{service}/releases").split()
    assert folders == [old.release.id, new.release.id]
    assert host.run(f"readlink /srv/apps/{service}/current").strip() == f"releases/{folders[1]}"
    assert release_of_units(service, host) == [new.release.id]


def release_of_units(service: str, host: ProductionHost) -> list[str]:
    units = host.run("ls /home/deploy/.config/systemd/user").split()
    ours = [unit.partition("@")[2] for unit in units if f"-{service}@" in unit]
    return [unit.removesuffix(".service") for unit in ours]


def test_the_nightly_run_removes_what_is_beyond_the_releases_to_keep(
    production_host: ProductionHost, releases: Releases
) -> None:
    first, second, third = (releases.build(f"{major}.0.0") for major in (1, 2, 3))
    for verified in (first, second, third):
        (deployed,) = live(verified, entered(production_host))
    target = entered(production_host)
    target.keep_releases = 2

    assert retire(first.release.service, target) == (first.release.id,)
    assert retire(first.release.service, target) == ()

    assert release_at(deployed.url) == third.release.id
    assert_installed_both(second, third, production_host)


def test_a_service_and_its_address_come_back_after_a_reboot(
    production_host: ProductionHost, releases: Releases
) -> None:
    first = releases.build("1.0.0")
    (deployed,) = live(first, entered(production_host))
    get(f"{deployed.url}/note")

    production_host.reboot()

    await_release(deployed.url, first.release.id)
    assert len(get(f"{deployed.url}/note")["notes"]) == 2
    assert_only(first, deployed.url, production_host)


def test_a_service_that_crashes_comes_back_and_is_complained_of(
    production_host: ProductionHost, releases: Releases
) -> None:
    first, target = releases.build("1.0.0").release, entered(production_host)
    target.install(first)
    url = target.start(first.service, first.id)
    assert target.complaint(first.service, first.id) is None

    with pytest.raises(OSError, match=r"."):
        get(f"{url}/crash")

    await_release(url, first.id)
    assert "its process ended" in str(target.complaint(first.service, first.id))
    target.start(first.service, first.id)
    assert target.complaint(first.service, first.id) is None
    target.archive(first.service, first.id)


def test_a_service_that_cannot_start_is_told_with_its_last_words(
    production_host: ProductionHost, releases: Releases
) -> None:
    broken, target = releases.build("1.0.0", crash="no more tea").release, entered(production_host)
    target.install(broken)

    with failing("(?s)does not start: its process ended.*no more tea"):
        target.start(broken.service, broken.id)

    target.archive(broken.service, broken.id)
    assert "no more tea" in production_host.run(
        f"cat /srv/apps/{broken.service}/shared/logs/{broken.id}.log"
    )


def test_a_service_sees_its_own_files_and_may_change_its_data_alone(
    production_host: ProductionHost, releases: Releases
) -> None:
    (deployed,) = live(releases.build("1.0.0"), entered(production_host))
    pid = get(f"{deployed.url}/health")["pid"]

    def inside(script: str) -> str:
        """What a script says that sees the files that the service sees."""
        seen = script.replace("/srv", f"/proc/{main_pid}/root/srv")
        return production_host.run(f"{seen} 2>&1", user="deploy")

    unit = f"build-executor-{releases.service}@{deployed.release_id}.service"
    manager = "XDG_RUNTIME_DIR=/run/user/1000 systemctl --user"
    main_pid = production_host.run(f"{manager} show -P MainPID '{unit}'", user="deploy").strip()
    status = production_host.run(f"cat /proc/{main_pid}/status")

    assert int(main_pid) == pid
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert "Uid:\t1000\t1000" in status
    assert inside("ls -A /srv/apps").split() == [releases.service]
    assert "denied" in production_host.run(f"ls /proc/{main_pid}/root/home 2>&1", user="deploy")
    assert "Read-only" in inside(f"touch /srv/apps/{releases.service}/releases/x")
    assert inside(f"touch /srv/apps/{releases.service}/shared/data/x && echo done") == "done\n"


def test_the_user_who_deploys_may_do_nothing_as_root(
    production_host: ProductionHost, releases: Releases
) -> None:
    live(releases.build("1.0.0"), entered(production_host))

    assert production_host.run("command -v sudo || echo none") == "none\n"
    assert production_host.run("id -Gn", user="deploy") == "deploy\n"
    elsewhere = "find / -xdev -user deploy -not -path '/home/deploy*' -not -path '/srv/*'"
    found = production_host.run(f"{elsewhere} -not -path '/var/tmp/*'").split()
    assert found == []


def test_a_killed_switch_is_replaced_by_its_spare(
    production_host: ProductionHost, releases: Releases
) -> None:
    verified = releases.build("1.0.0")
    (deployed,) = live(verified, entered(production_host))
    port = deployed.url.rpartition(":")[2]

    with Load(deployed.url) as load:
        production_host.run(
            f"kill -9 $(ss -ltnpH sport = :{port} | grep -o 'pid=[0-9]*' | cut -c5-)"
        )
        before = load.answers.total()
        load.until(lambda: load.answers.total() > before + 100)

    assert len(load.failures) < 30
    assert_only(verified, deployed.url, production_host)


# -- two hosts


def test_a_gate_that_closes_on_the_second_host_leaves_both_as_they_were(
    production_host: ProductionHost, second_host: ProductionHost, releases: Releases
) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    hosts = (entered(production_host), entered(second_host, "production-2"))
    urls = [deployed.url for deployed in live(first, *hosts)]
    gates = iter((True, False))

    with pytest.raises(DeploymentFailed, match="production-2"):
        deploy(second, hosts, lambda _: (Check(name="GET /health", passed=next(gates)),), NO_GUARD)

    assert_only(first, urls[0], production_host)
    assert_only(first, urls[1], second_host)


def test_a_switch_that_fails_on_the_second_host_sends_both_back(
    production_host: ProductionHost, second_host: ProductionHost, releases: Releases
) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    hosts = (entered(production_host), entered(second_host, "production-2"))
    urls = [deployed.url for deployed in live(first, *hosts)]
    second_host.run("cd /srv/apps/.switch && mv routes.json r && mkdir routes.json.new")

    with pytest.raises(DeploymentFailed, match="production-2"):
        deploy(second, hosts, passes, NO_GUARD)

    second_host.run("cd /srv/apps/.switch && rmdir routes.json.new && mv r routes.json")
    roll_back(first.release.service, second.release.build_id, hosts)
    assert_only(first, urls[0], production_host)
    assert_only(first, urls[1], second_host)


# -- losing the connection


@pytest.mark.parametrize("seconds", [0.1, 0.4, 0.8, 1.2, 1.8])
def test_a_deployment_whose_connections_are_killed_is_undone_by_going_back(
    production_host: ProductionHost, releases: Releases, seconds: float
) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    (deployed,) = live(first, entered(production_host))
    target = entered(production_host)
    killer = threading.Timer(seconds, production_host.run, ["pkill -KILL -u deploy sshd"])
    killer.start()

    with suppress(DeploymentFailed):  # it may have been faster
        deploy(second, [target], passes, NO_GUARD)
    killer.join()
    for _ in range(2):
        roll_back(second.release.service, second.release.build_id, [entered(production_host)])

    assert_only(first, deployed.url, production_host)


def test_the_lock_of_a_deployer_that_was_cut_off_is_free_at_once(
    production_host: ProductionHost, releases: Releases
) -> None:
    with entered(production_host).locked(releases.service, "first") as ledger:
        production_host.run("pkill -KILL -u deploy sshd")
        with entered(production_host).locked(releases.service, "second"):
            pass
        with pytest.raises(DeploymentFailed, match="the deploy lock was lost"):
            ledger.record(ledger.state)


# -- losing the deployer


@pytest.mark.parametrize(
    "moment", ["before install", "after install", "after start", "after offer", "after switch"]
)
def test_a_deployer_killed_at_any_step_is_rolled_back_by_another_process(
    production_host: ProductionHost, releases: Releases, tmp_path: Path, moment: str
) -> None:
    settings = production_host.settings(build_executor_home=tmp_path / "home")
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    (deployed,) = live(first, entered(production_host))

    with Load(deployed.url) as load:
        assert dies_deploying(settings, second, moment)
        roll_back(releases.service, second.release.build_id, [entered(production_host)])

    assert load.failures == []
    assert_only(first, deployed.url, production_host)


@pytest.mark.parametrize("moment", ["before switch", "after switch"])
def test_a_roll_back_killed_at_any_step_is_finished_by_the_next_one(
    production_host: ProductionHost, releases: Releases, tmp_path: Path, moment: str
) -> None:
    settings = production_host.settings(build_executor_home=tmp_path / "home")
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    live(first, entered(production_host))
    (deployed,) = live(second, entered(production_host))

    with Load(deployed.url) as load:
        assert dies_rolling_back(settings, second, moment)
        roll_back(releases.service, second.release.build_id, [entered(production_host)])

    assert load.failures == []
    assert_only(first, deployed.url, production_host)


# -- hosts that cannot


def test_a_full_disk_is_named_and_nothing_is_left(
    production_host: ProductionHost, releases: Releases
) -> None:
    production_host.run("mkdir -p /srv/small && mount -t tmpfs -o size=2m,uid=1000 none /srv/small")
    release = releases.build("1.0.0").release
    target = entered(production_host, root="/srv/small")

    with failing("too little space in /srv/small/.*MiB are needed"):
        target.install(release)

    assert production_host.run(f"ls -A /srv/small/{release.service}/releases") == ""


def test_a_root_folder_that_cannot_be_made_is_named(
    production_host: ProductionHost, releases: Releases
) -> None:
    with failing("/srv/others.*make /srv/others a folder of the user who deploys"):
        entered(production_host, root="/srv/others").read(releases.service)


@contextmanager
def without(host: ProductionHost, path: str) -> Iterator[None]:
    host.run(f"mv {path} {path}.away")
    try:
        yield
    finally:
        host.run(f"mv {path}.away {path}")


def test_a_host_without_python_is_named(
    production_host: ProductionHost, releases: Releases
) -> None:
    target = entered(production_host)

    with without(production_host, "/usr/bin/python3"), failing("python3 is missing"):
        target.read(releases.service)


def test_a_user_whose_services_would_end_with_the_login_is_named(
    production_host: ProductionHost, releases: Releases
) -> None:
    release, target = releases.build("1.0.0").release, entered(production_host)
    target.install(release)

    with (
        without(production_host, "/var/lib/systemd/linger/deploy"),
        failing("run `loginctl enable-linger deploy` as root once"),
    ):
        target.start(release.service, release.id)

    target.archive(release.service, release.id)
