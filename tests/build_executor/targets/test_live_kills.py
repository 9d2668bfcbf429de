"""The deployer, or whoever rolls back, is killed with SIGKILL at every step, on a real target.

Whatever moment that is, the next roll-back ends with one live version, and users notice nothing.
"""

from pathlib import Path

import pytest

from build_executor.deployment import Rollout, deploy, prove, roll_back
from build_executor.models import Check, VerifiedRelease
from build_executor.targets.local import LocalTarget
from build_executor.targets.ports import is_free
from build_executor.targets.probing import release_at
from tests.fakes.dying_deployer import dies_deploying, dies_rolling_back
from tests.fakes.load import Load
from tests.fakes.release import Releases

pytestmark = pytest.mark.full

RECORDS_OF_A_DEPLOYMENT = [
    f"{when} record {n}" for n in (1, 2, 3, 4) for when in ("before", "after")
]
STEPS_BACK = [
    *("before record 1", "after record 1", "before switch", "after switch"),
    *("before record 2", "after record 2", "before archive", "after archive"),
    *("before record 3", "after record 3", "before unlock"),
]


def live(target: LocalTarget, verified: VerifiedRelease) -> str:
    """Deploy and prove it; its public address."""
    passed = (Check(name="GET /health", passed=True),)
    deployed = deploy(verified, [target], lambda _: passed, Rollout(guard_seconds=0))
    prove(deployed, [target])
    return deployed[0].url


def assert_only(verified: VerifiedRelease, url: str, target: LocalTarget, root: Path) -> None:
    """One version is live, of the others nothing is left, and the lock can be taken."""
    release = verified.release
    assert release_at(url) == release.id
    assert running(target, release.service) == [f"{release.service}@{release.id}"]
    folders = (root / release.service / "releases").iterdir()
    assert [folder.name for folder in folders] == [release.id]
    with target.locked(release.service, "afterwards") as ledger:
        state = ledger.state
    assert (state.live, state.switching, state.proven) == (release.id, None, (release.id,))


def running(target: LocalTarget, service: str) -> list[str]:
    return [name for name in target.supervisor.programs() if name.startswith(f"{service}@")]


@pytest.mark.parametrize("moment", RECORDS_OF_A_DEPLOYMENT)
def test_a_deployer_killed_around_each_of_its_notes_is_rolled_back(
    local: LocalTarget, local_root: Path, releases: Releases, moment: str
) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    url = live(local, first)

    with Load(url) as load:
        assert dies_deploying(local_root, second, moment)
        roll_back(releases.service, second.release.build_id, [local])

    assert load.failures == []
    assert_only(first, url, local, local_root)


@pytest.mark.parametrize("moment", STEPS_BACK)
def test_a_roll_back_killed_at_any_step_is_finished_by_the_next_one(
    local: LocalTarget, local_root: Path, releases: Releases, moment: str
) -> None:
    first, second = releases.build("1.0.0"), releases.build("2.0.0")
    live(local, first)
    url = live(local, second)

    with Load(url) as load:
        assert dies_rolling_back(local_root, second, moment)
        (report,) = roll_back(releases.service, second.release.build_id, [local])

    assert load.failures == []
    assert report.service_health == "active"
    assert_only(first, url, local, local_root)


@pytest.mark.parametrize("moment", ["after record 1", "after record 2", "after record 3"])
def test_a_first_deployer_killed_around_its_notes_leaves_nothing(
    local: LocalTarget, local_root: Path, releases: Releases, moment: str
) -> None:
    first = releases.build("1.0.0")

    assert dies_deploying(local_root, first, moment)
    roll_back(releases.service, first.release.build_id, [local])

    assert releases.port is not None
    assert is_free(releases.port)
    assert running(local, releases.service) == []
    assert not list((local_root / releases.service).glob("releases/*"))


def test_a_deployment_that_nobody_kills_is_a_deployment(
    local: LocalTarget, local_root: Path, releases: Releases
) -> None:
    first = releases.build("1.0.0")

    assert not dies_deploying(local_root, first, "never")
    assert releases.port is not None
    assert_only(first, f"http://127.0.0.1:{releases.port}", local, local_root)
