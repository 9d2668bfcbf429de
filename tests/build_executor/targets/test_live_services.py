"""The local target for real: supervisord, the forwarder process, and services that answer HTTP."""

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from build_executor import command, deployment
from build_executor.deployment import Gate, Rollout
from build_executor.errors import CommandFailed, DeploymentFailed
from build_executor.forwarder.ask import insist
from build_executor.models import Check, Deployment, RollbackReport, VerifiedRelease
from build_executor.targets.local import LocalTarget
from build_executor.targets.ports import is_free
from build_executor.targets.probing import release_at
from build_executor.targets.unix_sockets import socket_path
from tests.fakes.load import Load
from tests.fakes.release import Releases

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[3]


def deploy(verified: VerifiedRelease, target: LocalTarget, gate: Gate) -> Deployment:
    (deployed,) = deployment.deploy(verified, [target], gate, Rollout(guard_seconds=0))
    return deployed


def roll_back(service: str, build_id: str, target: LocalTarget) -> RollbackReport:
    (report,) = deployment.roll_back(service, build_id, [target])
    return report


def passes(_: str) -> tuple[Check, ...]:
    return (Check(name="GET /health", passed=True),)


def fails(_: str) -> tuple[Check, ...]:
    return (Check(name="GET /health", passed=False),)


def live(target: LocalTarget, verified: VerifiedRelease) -> Deployment:
    deployed = deploy(verified, target, passes)
    deployment.prove([deployed], [target])
    return deployed


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own service
        body: dict[str, Any] = json.loads(response.read())
    return body


def processes_of(target: LocalTarget, service: str) -> list[str]:
    return [name for name in target.supervisor.programs() if name.startswith(f"{service}@")]


def assert_only(verified: VerifiedRelease, url: str, target: LocalTarget) -> None:
    release = verified.release
    assert release_at(url) == release.id
    assert processes_of(target, release.service) == [f"{release.service}@{release.id}"]
    assert target.read(release.service).live == release.id


# -- deploying


def test_a_deployed_service_outlives_the_deployer(local: LocalTarget, releases: Releases) -> None:
    deployed = live(local, releases.build("1.0.0"))

    pid = get(f"{deployed.url}/health")["pid"]

    daemon = psutil.Process(pid).parent()
    assert daemon is not None
    assert str(local.supervisor.folder / "supervisord.conf") in daemon.cmdline()
    assert daemon.ppid() != os.getpid()
    assert os.getsid(daemon.pid) != os.getsid(0)


def test_an_instance_has_a_clean_environment_and_a_private_data_folder(
    local: LocalTarget, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    verified = releases.build("1.0.0")

    environment = get(f"{live(local, verified).url}/environment")

    ours = {name for name in environment if not name.startswith("SUPERVISOR_")}
    expected = {"PATH", "HOME", "LANG", "PORT", "RELEASE_ID", "DATA_DIR", "PYTHONUNBUFFERED"}
    assert ours - {"LC_CTYPE"} == expected
    assert environment["RELEASE_ID"] == verified.release.id
    assert Path(environment["DATA_DIR"]).stat().st_mode & 0o777 == 0o700


def test_a_redeployment_under_load_loses_no_request(local: LocalTarget, releases: Releases) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    url = live(local, first).url

    with Load(url) as load:
        live(local, second)
        load.until(lambda: load.answers[second.release.id] > 50)

    assert load.failures == []
    assert_only(second, url, local)


def test_a_slow_request_is_answered_by_the_release_that_took_it(
    local: LocalTarget, releases: Releases
) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    url = live(local, first).url

    with Load(url, users=2, path="/slow") as load:
        live(local, second)
        load.until(lambda: load.answers[second.release.id] > 1)

    assert load.failures == []


def test_data_is_shared_between_releases(local: LocalTarget, releases: Releases) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    url = live(local, first).url
    get(f"{url}/note")
    live(local, second)

    notes = get(f"{url}/note")["notes"]

    assert notes == [first.release.id, second.release.id]


def test_the_current_link_follows_what_is_live(
    local: LocalTarget, local_root: Path, releases: Releases
) -> None:
    verified = releases.build("1.0.0")
    live(local, verified)

    current = local_root / releases.service / "current"

    assert (current / "VERSION").read_text() == "1.0.0"
    assert current.resolve().name == verified.release.id


def test_a_release_whose_archive_was_changed_is_refused(
    local: LocalTarget, releases: Releases
) -> None:
    verified = releases.build("1.0.0")
    with verified.release.archive.open("ab") as archive:
        archive.write(b"more")

    with pytest.raises(DeploymentFailed, match="was changed"):
        deploy(verified, local, passes)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({"crash": "no database"}, "no database"),
        ({"unhealthy": True}, "no healthy answer"),
        ({"says": "another"}, "another answers"),
    ],
)
def test_users_do_not_notice_a_release_that_never_becomes_healthy(
    local: LocalTarget, releases: Releases, behaviour: dict[str, Any], reason: str
) -> None:
    good, bad = releases.build("1.0.0"), releases.build("2.0.0", **behaviour)
    url = live(local, good).url

    with Load(url) as load, pytest.raises(DeploymentFailed, match=reason):
        deploy(bad, local, passes)

    assert load.failures == []
    assert set(load.answers) == {good.release.id}
    assert_only(good, url, local)


def test_users_do_not_notice_a_release_that_fails_the_gate(
    local: LocalTarget, releases: Releases
) -> None:
    good, bad = releases.build("1.0.0"), releases.build("2.0.0")
    url = live(local, good).url

    with Load(url) as load, pytest.raises(DeploymentFailed, match="contract"):
        deploy(bad, local, fails)

    assert load.failures == []
    assert set(load.answers) == {good.release.id}
    assert_only(good, url, local)


def test_a_first_release_that_fails_leaves_nothing(
    local: LocalTarget, local_root: Path, releases: Releases
) -> None:
    verified = releases.build("1.0.0", crash="no database")

    with pytest.raises(DeploymentFailed):
        deploy(verified, local, passes)

    assert releases.port is not None
    assert is_free(releases.port)
    assert processes_of(local, releases.service) == []
    assert list((local_root / releases.service / "releases").iterdir()) == []
    assert list((local_root / releases.service / "shared" / "logs").iterdir()) != []


def test_a_port_of_another_process_is_named_and_nothing_changes(
    local: LocalTarget, local_root: Path, releases: Releases, tmp_path: Path
) -> None:
    other = Releases(tmp_path / "other", service=f"{releases.service}-other", port=releases.port)
    url = live(local, releases.build("1.0.0")).url

    with pytest.raises(DeploymentFailed, match=f"port {releases.port} is taken by the service"):
        deploy(other.build("1.0.0"), local, passes)

    assert not (local_root / other.service / "releases").exists()
    assert release_at(url) is not None


def test_a_service_can_move_to_another_port(
    local: LocalTarget, releases: Releases, tmp_path: Path
) -> None:
    old_url = live(local, releases.build("1.0.0")).url
    moved = Releases(tmp_path / "moved", service=releases.service, port=None).build("2.0.0")

    assert releases.port is not None
    port = local.reserve_port(f"{releases.service}-probe", None)
    verified = VerifiedRelease(release=moved.release.model_copy(update={"port": port}), checks=())
    new_url = live(local, verified).url

    assert release_at(new_url) == moved.release.id
    assert release_at(old_url) is None


# -- rolling back


def test_a_roll_back_under_load_loses_no_request(local: LocalTarget, releases: Releases) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    live(local, first)
    url = live(local, second).url

    with Load(url) as load:
        report = roll_back(releases.service, "build-2.0.0", local)
        load.until(lambda: load.answers[first.release.id] > 50)

    assert (report.rollback_status, report.service_health) == ("success", "active")
    assert load.failures == []
    assert_only(first, url, local)


def test_rolling_back_the_first_release_frees_its_port(
    local: LocalTarget, releases: Releases
) -> None:
    deploy(releases.build("1.0.0"), local, passes)

    report = roll_back(releases.service, "build-1.0.0", local)

    assert report.service_health == "absent"
    assert releases.port is not None
    assert is_free(releases.port)
    assert processes_of(local, releases.service) == []


MOMENTS = [
    *("before install", "after install", "before start", "after start", "before offer"),
    *("after offer", "before switch", "after switch", "before complaint", "after complaint"),
    *("before unlock", "before stop", "after stop"),
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_deployer_killed_at_any_step_is_rolled_back_by_another_process(
    local: LocalTarget, local_root: Path, releases: Releases, moment: str
) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    url = live(local, first).url
    _die(local_root, second, moment)

    with Load(url) as load:
        roll_back(releases.service, "build-2.0.0", local)

    assert load.failures == []
    assert_only(first, url, local)
    folders = [folder.name for folder in (local_root / releases.service / "releases").iterdir()]
    assert folders == [first.release.id]


@pytest.mark.parametrize("moment", ["before install", "after start", "after switch"])
def test_a_first_deployer_killed_at_any_step_leaves_nothing_after_the_roll_back(
    local: LocalTarget, local_root: Path, releases: Releases, moment: str
) -> None:
    _die(local_root, releases.build("1.0.0"), moment)

    roll_back(releases.service, "build-1.0.0", local)

    assert releases.port is not None
    assert is_free(releases.port)
    assert processes_of(local, releases.service) == []
    assert not list((local_root / releases.service).glob("releases/*"))


def _die(root: Path, verified: VerifiedRelease, moment: str) -> None:
    """Deploy and prove in a process of its own, which is killed at this moment."""
    script = (
        "import sys; from pathlib import Path\n"
        "from build_executor.deployment import Rollout, deploy, prove\n"
        "from build_executor.models import Check, VerifiedRelease\n"
        "from build_executor.targets.local import LocalTarget\n"
        "from tests.fakes.dying_target import DyingTarget\n"
        "target = DyingTarget(LocalTarget(Path(sys.argv[1])), sys.argv[2])\n"
        "verified = VerifiedRelease.model_validate_json(sys.argv[3])\n"
        "gate = lambda url: (Check(name='x', passed=True),)\n"
        "rollout = Rollout(guard_seconds=0.5, canary_steps=(50,), canary_step_seconds=0)\n"
        "prove(deploy(verified, [target], gate, rollout), [target])\n"
    )
    arguments = (str(root), moment, verified.model_dump_json())
    environment = command.clean_environment({"PYTHONPATH": str(ROOT)})
    with pytest.raises(CommandFailed) as death:
        command.run((sys.executable, "-c", script, *arguments), timeout=60, environment=environment)
    assert death.value.exit_code == -signal.SIGKILL


# -- crashes


def test_a_crashed_service_comes_back_and_new_users_only_wait(
    local: LocalTarget, releases: Releases
) -> None:
    url = live(local, releases.build("1.0.0")).url
    process = psutil.Process(get(f"{url}/health")["pid"])
    process.kill()
    process.wait(10)

    assert get(f"{url}/health")["pid"] != process.pid


def test_the_switch_comes_back_with_its_routes(local: LocalTarget, releases: Releases) -> None:
    verified = releases.build("1.0.0")
    url = live(local, verified).url
    switch = _switch_process(local)
    switch.kill()
    switch.wait(10)

    assert _switch_process(local).pid != switch.pid
    assert release_at(url) == verified.release.id


def test_a_killed_supervisor_costs_no_request_nor_does_the_deployment_after_it(
    local: LocalTarget, releases: Releases
) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    url = live(local, first).url
    daemon = _daemon(local)

    with Load(url) as load:
        daemon.kill()
        daemon.wait(30)
        _until(local.supervisor.is_running)
        live(local, second)
        load.until(lambda: load.answers[second.release.id] > 50, 30)

    assert load.failures == []
    assert_only(second, url, local)


def test_a_supervisor_that_nobody_brings_back_is_replaced_by_the_next_deployment(
    local: LocalTarget, releases: Releases
) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    url = live(local, first).url
    daemon = _daemon(local)
    guardian = daemon.parent()
    assert guardian is not None

    with Load(url) as load:
        guardian.kill()
        guardian.wait(30)
        daemon.kill()
        daemon.wait(30)
        assert not local.supervisor.is_running()
        live(local, second)
        load.until(lambda: load.answers[second.release.id] > 50, 30)

    assert load.failures == []
    assert_only(second, url, local)


def test_down_ends_everything_and_up_brings_what_was_live_back(
    local: LocalTarget, releases: Releases
) -> None:
    verified = releases.build("1.0.0")
    url = live(local, verified).url
    pids = [process.pid for process in _daemon(local).children(recursive=True)]

    local.supervisor.shut_down()
    local.supervisor.shut_down()

    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert release_at(url) is None

    local.recover()

    assert_only(verified, url, local)


def _daemon(target: LocalTarget) -> psutil.Process:
    return psutil.Process(int((target.supervisor.folder / "supervisord.pid").read_text()))


def _switch_process(target: LocalTarget) -> psutil.Process:
    """The process of this target's switch that forwards now; there is a spare one as well."""
    admin = socket_path(target.supervisor.folder.parent / ".switch", "admin.sock")
    return psutil.Process(insist(admin, {"do": "status"}, 5)["pid"])


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
