"""Releases that go wrong once they have traffic, with real processes, switches and users."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from build_executor.deployment import Rollout, deploy, prove
from build_executor.errors import DeploymentFailed
from build_executor.models import Check, VerifiedRelease
from build_executor.targets.host import Patience
from build_executor.targets.local import LocalTarget
from build_executor.targets.probing import release_at
from tests.fakes.load import Load
from tests.fakes.release import Releases
from tests.ports import free_port

pytestmark = pytest.mark.full

LONG = Rollout(guard_seconds=30)
USERS = 6


def passes(_: str) -> tuple[Check, ...]:
    return (Check(name="GET /health", passed=True),)


def live(verified: VerifiedRelease, *targets: LocalTarget) -> list[str]:
    """Deploy and prove; where its users meet it."""
    deployed = deploy(verified, targets, passes, Rollout(guard_seconds=0))
    prove(deployed, targets)
    return [one.url for one in deployed]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTarget]:
    """A second host, as far as anybody can see."""
    patience = Patience(start=3, switch=3, drain=3, lock=0.2)
    target = LocalTarget(tmp_path_factory.mktemp("other"), patience=patience)
    target.name = "other"
    yield target
    target.supervisor.shut_down()


def test_a_crash_after_the_switch_costs_only_the_requests_that_were_in_flight(
    local: LocalTarget, releases: Releases
) -> None:
    good, bad = releases.build("1.0.0"), releases.build("2.0.0", dies_after=1.5)
    (url,) = live(good, local)

    with Load(url, users=USERS) as load, pytest.raises(DeploymentFailed) as failure:
        deploy(bad, [local], passes, LONG)

    assert {finding.rule for finding in failure.value.findings} <= {"crash", "silence"}
    assert "s after the switch on local: " in str(failure.value)
    assert load.answers[bad.release.id] > 0
    assert len(load.failures) <= USERS
    assert release_at(url) == good.release.id


def test_a_release_that_only_its_users_find_broken_is_taken_back(
    local: LocalTarget, releases: Releases
) -> None:
    good, bad = releases.build("1.0.0"), releases.build("2.0.0", is_broken=True)
    (url,) = live(good, local)

    with Load(url, path="/broken") as load, pytest.raises(DeploymentFailed) as failure:
        deploy(bad, [local], passes, LONG)

    assert [finding.rule for finding in failure.value.findings] == ["errors"]
    assert release_at(url) == good.release.id
    assert load.answers[good.release.id] > 0


def test_a_canary_that_crashes_costs_only_the_requests_that_were_in_flight(
    local: LocalTarget, releases: Releases
) -> None:
    good, bad = releases.build("1.0.0"), releases.build("2.0.0", dies_after=1.5)
    (url,) = live(good, local)
    canary = Rollout(guard_seconds=0, canary_steps=(30,), canary_step_seconds=30)

    with Load(url, users=USERS) as load, pytest.raises(DeploymentFailed) as failure:
        deploy(bad, [local], passes, canary)

    assert "s after it was offered on local: its process ended" in str(failure.value)
    assert load.answers[good.release.id] > load.answers[bad.release.id] > 0
    assert len(load.failures) <= USERS
    assert release_at(url) == good.release.id


def test_a_canary_under_load_loses_no_request(local: LocalTarget, releases: Releases) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    (url,) = live(first, local)
    canary = Rollout(guard_seconds=0.5, canary_steps=(10, 50), canary_step_seconds=0.5)

    with Load(url) as load:
        (deployed,) = deploy(second, [local], passes, canary)

    assert load.failures == []
    assert deployed.availability is not None
    assert deployed.availability.failed == 0
    assert release_at(url) == second.release.id


def test_a_crash_on_one_host_takes_the_release_back_on_both(
    local: LocalTarget, other: LocalTarget, releases: Releases, tmp_path: Path
) -> None:
    both = Releases(tmp_path / "both", service=releases.service, port=None)
    good, bad = both.build("1.0.0"), both.build("2.0.0")
    local.reserve_port(both.service, free_port())
    other.reserve_port(both.service, free_port())
    urls = live(good, local, other)

    def crash_one(url: str) -> tuple[Check, ...]:
        if url == urls[1]:
            with pytest.raises(httpx.RemoteProtocolError):
                httpx.get(f"{url}/crash")
        return passes(url)

    with pytest.raises(DeploymentFailed, match="s after the switch on other: "):
        deploy(bad, [local, other], crash_one, LONG)

    assert [release_at(url) for url in urls] == [good.release.id] * 2
