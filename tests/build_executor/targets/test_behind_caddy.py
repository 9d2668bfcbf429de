"""Deployments behind a real Caddy: the algorithm is the same, and users notice as little."""

import pytest

from build_executor import deployment
from build_executor.deployment import Rollout
from build_executor.models import Check, Deployment, VerifiedRelease
from build_executor.targets.caddy import CaddySwitch
from build_executor.targets.caddy_admin import CaddyAdmin
from build_executor.targets.local import LocalTarget
from build_executor.targets.ports import is_free
from build_executor.targets.probing import release_at
from tests.caddy import Caddy
from tests.fakes.load import Load
from tests.fakes.release import Releases

pytestmark = pytest.mark.full


def deploy(target: LocalTarget, verified: VerifiedRelease, *steps: int) -> Deployment:
    rollout = Rollout(guard_seconds=0.2, canary_steps=steps, canary_step_seconds=0.2)
    (deployed,) = deployment.deploy(
        verified, [target], lambda _: (Check(name="GET /health", passed=True),), rollout
    )
    return deployed


def live(target: LocalTarget, verified: VerifiedRelease, *steps: int) -> Deployment:
    deployed = deploy(target, verified, *steps)
    deployment.prove([deployed], [target])
    return deployed


def test_users_get_the_new_release_step_by_step(
    behind_caddy: LocalTarget, releases: Releases
) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    url = live(behind_caddy, first).url

    with Load(url, may_drop=True) as load:
        live(behind_caddy, second, 10, 50)
        load.until(lambda: load.answers[second.release.id] > 50)

    assert all("ConnectionResetError" in failure for failure in load.failures)
    assert release_at(url) == second.release.id


def test_the_way_back_is_open(behind_caddy: LocalTarget, releases: Releases) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    live(behind_caddy, first)
    url = live(behind_caddy, second).url

    (report,) = deployment.roll_back(releases.service, "build-2.0.0", [behind_caddy])

    assert (report.rollback_status, report.service_health) == ("success", "active")
    assert release_at(url) == first.release.id


def test_a_first_release_that_is_taken_back_leaves_no_port_open(
    behind_caddy: LocalTarget, releases: Releases
) -> None:
    url = deploy(behind_caddy, releases.build("1.0.0")).url

    deployment.roll_back(releases.service, "build-1.0.0", [behind_caddy])

    assert is_free(int(url.rpartition(":")[2]))


def test_what_caddy_forgot_is_brought_back(
    behind_caddy: LocalTarget, caddy_process: Caddy, releases: Releases
) -> None:
    verified = releases.build("1.0.0")
    url = live(behind_caddy, verified).url
    release = verified.release
    with behind_caddy.locked(release.service, "somebody") as ledger:
        fence = ledger.state.fence
    CaddySwitch(CaddyAdmin(caddy_process.admin)).remove(release.service, fence)
    assert release_at(url) is None

    behind_caddy.recover()

    assert release_at(url) == release.id
