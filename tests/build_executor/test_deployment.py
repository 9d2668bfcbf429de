import contextlib
from collections.abc import Iterator

import pytest

from build_executor import deployment
from build_executor.deployment import Gate, LiveService, describe, retire
from build_executor.errors import DeployLocked, DeploymentFailed
from build_executor.models import Check, Deployment, Release, RollbackReport, VerifiedRelease
from build_executor.phases import ErrorState
from tests.deploying import AT_ONCE, SHOP, assert_nothing, assert_only, fails, passes, verified
from tests.fakes.target import FakeLedger, FakeTarget, Killed


def deploy(verified: VerifiedRelease, target: FakeTarget, gate: Gate) -> Deployment:
    (deployed,) = deployment.deploy(verified, [target], gate, AT_ONCE)
    return deployed


def prove(deployed: Deployment, target: FakeTarget) -> None:
    deployment.prove([deployed], [target])


def roll_back(service: str, build_id: str, target: FakeTarget) -> RollbackReport:
    (report,) = deployment.roll_back(service, build_id, [target])
    return report


def live(target: FakeTarget, *release_ids: str) -> Deployment:
    """Deploy and prove these releases, one after the other."""
    for release_id in release_ids:
        deployed = deploy(verified(release_id), target, passes)
        prove(deployed, target)
    return deployed


# -- deploy


def test_the_first_release_goes_live_behind_its_public_port() -> None:
    target = FakeTarget()

    deployed = deploy(verified("1"), target, passes)

    assert deployed.url == "http://127.0.0.1:8350"
    assert deployed.previous is None
    assert_only("1", target)


def test_the_gate_asks_the_private_instance_before_it_takes_traffic() -> None:
    target = FakeTarget()
    asked = []

    def gate(url: str) -> tuple[Check, ...]:
        asked.append((url, dict(target.routes)))
        return passes(url)

    deploy(verified("1"), target, gate)

    assert asked[0] == ("http://127.0.0.1/shop/1", {})


def test_the_replaced_release_stays_warm_until_the_new_one_is_proven() -> None:
    target = FakeTarget()
    live(target, "1")

    deployed = deploy(verified("2"), target, passes)

    assert deployed.previous == "1"
    assert target.routes == {SHOP: "2"}
    assert target.running == {(SHOP, "1"), (SHOP, "2")}


@pytest.mark.parametrize("step", ["reserve 8350", "install 2", "start 2", "switch 2"])
def test_a_release_that_cannot_go_live_leaves_the_previous_one_live(step: str) -> None:
    target = FakeTarget()
    live(target, "1")
    target.refuses = frozenset({step})

    with pytest.raises(DeploymentFailed, match=step) as failure:
        deploy(verified("2"), target, passes)

    assert failure.value.state is ErrorState.DEPLOYMENT
    assert_only("1", target)
    assert target.installed == {(SHOP, "1")}


def test_a_release_that_fails_the_gate_never_gets_traffic() -> None:
    target = FakeTarget()
    live(target, "1")

    with pytest.raises(DeploymentFailed) as failure:
        deploy(verified("2"), target, fails)

    assert [str(finding) for finding in failure.value.findings] == [
        "[deployment/GET /shop] answered 500"
    ]
    assert "switch 2" not in target.did
    assert_only("1", target)


def test_a_gate_that_asked_nothing_is_not_passed() -> None:
    target = FakeTarget()

    with pytest.raises(DeploymentFailed):
        deploy(verified("1"), target, lambda _: ())

    assert_nothing(target)


def test_a_first_release_that_fails_leaves_nothing() -> None:
    target = FakeTarget()

    with pytest.raises(DeploymentFailed):
        deploy(verified("1"), target, fails)

    assert_nothing(target)
    assert target.archived == {(SHOP, "1")}


def test_a_taken_port_is_refused_before_anything_changes() -> None:
    target = FakeTarget(taken_ports=frozenset({8350}))

    with pytest.raises(DeploymentFailed, match="8350"):
        deploy(verified("1"), target, passes)

    assert target.did == ["reserve 8350"]
    assert_nothing(target)


def test_a_full_disk_is_a_failed_deployment() -> None:
    class FullDisk(FakeTarget):
        def install(self, release: Release) -> None:
            raise OSError(28, "No space left on device", release.id)

    target = FullDisk()

    with pytest.raises(DeploymentFailed, match=r"cannot deploy shop 1 to fake: .*No space left"):
        deploy(verified("1"), target, passes)

    assert_nothing(target)


def test_the_first_error_is_reported_even_if_cleaning_up_fails_too() -> None:
    target = FakeTarget(refuses=frozenset({"start 1", "archive 1"}))

    with pytest.raises(DeploymentFailed, match="start 1"):
        deploy(verified("1"), target, passes)


def test_a_failed_deployment_can_be_tried_again_by_the_same_build() -> None:
    target = FakeTarget(refuses=frozenset({"start 1"}))
    with pytest.raises(DeploymentFailed):
        deploy(verified("1"), target, passes)
    target.refuses = frozenset()

    live(target, "1")

    assert_only("1", target)


def test_a_second_deployer_is_refused_while_the_first_one_works() -> None:
    target = FakeTarget()

    with target.locked(SHOP, "build-1"), pytest.raises(DeployLocked, match="build-1"):
        deploy(verified("2"), target, passes)


def test_a_service_without_a_port_of_its_own_keeps_the_one_it_was_given() -> None:
    target = FakeTarget()

    first = deploy(verified("1", port=None), target, passes)
    second = deploy(verified("2", port=None), target, passes)

    assert first.url == second.url == "http://127.0.0.1:8300"


def test_deploying_the_live_release_again_checks_it_and_changes_nothing() -> None:
    target = FakeTarget()
    live(target, "1", "2")
    before = target.read(SHOP).releases

    deployed = deploy(verified("2", build_id="again"), target, passes)
    prove(deployed, target)

    assert deployed.release_id == "2"
    assert target.read(SHOP).releases == before
    assert_only("2", target)


def test_the_live_release_stays_live_if_it_fails_the_gate_of_a_redeployment() -> None:
    target = FakeTarget()
    live(target, "1")

    with pytest.raises(DeploymentFailed):
        deploy(verified("1", build_id="again"), target, fails)

    assert_only("1", target)


# -- prove


def test_a_proven_release_runs_alone_and_the_one_before_stays_installed() -> None:
    target = FakeTarget()

    live(target, "1", "2")

    assert_only("2", target)
    assert target.read(SHOP).proven == ("1", "2")
    assert target.installed == {(SHOP, "1"), (SHOP, "2")}


def test_only_as_many_proven_releases_are_kept_as_the_settings_say() -> None:
    target = FakeTarget(keep_releases=2)

    live(target, "1", "2", "3")

    assert target.installed == {(SHOP, "2"), (SHOP, "3")}
    assert target.archived == {(SHOP, "1")}


def test_what_could_not_be_removed_then_is_removed_later() -> None:
    target = FakeTarget(keep_releases=2, refuses=frozenset({"archive 1"}))
    live(target, "1", "2", "3")
    target.refuses = frozenset()

    assert retire(SHOP, target) == ("1",)
    assert retire(SHOP, target) == ()
    assert target.installed == {(SHOP, "2"), (SHOP, "3")}


def test_nothing_is_removed_while_what_is_live_is_not_proven() -> None:
    target = FakeTarget(keep_releases=2, refuses=frozenset({"archive 1"}))
    live(target, "1", "2", "3")
    target.refuses = frozenset()
    deploy(verified("4"), target, passes)

    assert retire(SHOP, target) == ()
    assert target.archived == set()


def test_what_became_live_before_the_lock_was_taken_is_not_proven_either() -> None:
    class Overtaken(FakeTarget):
        @contextlib.contextmanager
        def locked(self, service: str, build_id: str) -> Iterator[FakeLedger]:
            with super().locked(service, build_id) as ledger:
                state = self.states[service]
                self.states[service] = state.model_copy(update={"switching": "4"})
                yield ledger

    target = Overtaken(keep_releases=1)
    releases = FakeTarget(keep_releases=5)
    live(releases, "1", "2", "3")
    target.states = releases.states

    assert retire(SHOP, target) == ()
    assert target.archived == set()


def test_a_release_that_is_not_live_any_more_is_not_proven() -> None:
    target = FakeTarget()
    first = deploy(verified("1"), target, passes)
    deploy(verified("2"), target, passes)

    prove(first, target)

    assert target.read(SHOP).proven == ()


def test_a_good_deployment_stays_good_if_old_releases_cannot_be_retired() -> None:
    target = FakeTarget()
    live(target, "1")
    target.refuses = frozenset({"stop 1"})

    live(target, "2")

    assert target.read(SHOP).proven == ("1", "2")


# -- roll back


def test_roll_back_returns_to_the_last_proven_release() -> None:
    target = FakeTarget()
    live(target, "1", "2")

    report = roll_back(SHOP, "build-2", target)

    assert (report.rollback_status, report.previous_version_restored) == ("success", True)
    assert (report.service_health, report.live_release) == ("active", "1")
    assert_only("1", target)
    assert target.installed == {(SHOP, "1")}


def test_roll_back_skips_releases_that_nobody_proved() -> None:
    target = FakeTarget()
    live(target, "1")
    deploy(verified("2"), target, passes)
    deploy(verified("3"), target, passes)

    roll_back(SHOP, "build-3", target)

    assert target.read(SHOP).live == "1"


def test_roll_back_prefers_an_unproven_forerunner_to_nothing() -> None:
    target = FakeTarget()
    deploy(verified("1"), target, passes)
    deploy(verified("2"), target, passes)

    report = roll_back(SHOP, "build-2", target)

    assert report.live_release == "1"


def test_rolling_back_twice_does_not_walk_on() -> None:
    target = FakeTarget()
    live(target, "1", "2", "3")
    roll_back(SHOP, "build-3", target)

    report = roll_back(SHOP, "build-3", target)

    assert report.rollback_status == "not_needed"
    assert (report.service_health, report.live_release) == ("active", "2")
    assert_only("2", target)


def test_rolling_back_an_old_build_changes_nothing() -> None:
    target = FakeTarget()
    live(target, "1", "2")

    report = roll_back(SHOP, "build-1", target)

    assert report.rollback_status == "not_needed"
    assert_only("2", target)
    assert target.installed == {(SHOP, "1"), (SHOP, "2")}


def test_rolling_back_the_redeployment_of_a_proven_release_keeps_it() -> None:
    target = FakeTarget()
    live(target, "1", "2")
    prove(deploy(verified("2", build_id="again"), target, passes), target)

    report = roll_back(SHOP, "again", target)

    assert report.rollback_status == "not_needed"
    assert_only("2", target)


def test_a_build_that_proves_what_another_one_left_unproven_answers_for_it() -> None:
    target = FakeTarget()
    live(target, "1")
    deploy(verified("2", build_id="killed"), target, passes)
    prove(deploy(verified("2", build_id="second"), target, passes), target)

    assert roll_back(SHOP, "killed", target).rollback_status == "not_needed"
    assert roll_back(SHOP, "second", target).live_release == "1"


def test_rolling_back_the_first_release_leaves_nothing() -> None:
    target = FakeTarget()
    deploy(verified("1"), target, passes)

    report = roll_back(SHOP, "build-1", target)

    assert (report.rollback_status, report.previous_version_restored) == ("success", False)
    assert report.service_health == "absent"
    assert_nothing(target)


def test_a_roll_back_without_anything_to_return_to_keeps_a_proven_release() -> None:
    target = FakeTarget()
    live(target, "1")

    report = roll_back(SHOP, "build-1", target)

    assert (report.rollback_status, report.service_health) == ("failed", "active")
    assert_only("1", target)


@pytest.mark.parametrize("step", ["start 1", "switch 1"])
def test_a_roll_back_that_finds_no_answer_keeps_the_better_version(step: str) -> None:
    target = FakeTarget()
    live(target, "1", "2")
    target.refuses = frozenset({step})

    report = roll_back(SHOP, "build-2", target)

    assert report.rollback_status == "failed"
    assert report.detail == "no other proven release answers: 2 stays live"
    assert target.routes == {SHOP: "2"}


def test_a_roll_back_says_so_if_nothing_answers_at_all() -> None:
    target = FakeTarget()
    live(target, "1", "2")
    target.refuses = frozenset({"start 1", "start 2"})

    report = roll_back(SHOP, "build-2", target)

    assert (report.rollback_status, report.service_health) == ("failed", "error")


def test_a_restored_service_is_a_success_even_if_the_bad_release_cannot_be_archived() -> None:
    target = FakeTarget()
    live(target, "1", "2")
    target.refuses = frozenset({"archive 2"})

    report = roll_back(SHOP, "build-2", target)

    assert report.rollback_status == "success"
    target.refuses = frozenset()
    assert roll_back(SHOP, "build-2", target).rollback_status == "not_needed"
    assert_only("1", target)


def test_a_release_that_an_earlier_build_proved_stays_installed_after_a_roll_back() -> None:
    target = FakeTarget()
    live(target, "1", "2")
    target.refuses = frozenset({"switch 1"})
    with pytest.raises(DeploymentFailed):
        deploy(verified("1", build_id="third"), target, passes)

    roll_back(SHOP, "third", target)

    assert target.installed == {(SHOP, "1"), (SHOP, "2")}
    assert_only("2", target)


def test_a_service_whose_live_release_died_is_reported_inactive() -> None:
    target = FakeTarget()
    live(target, "1")
    target.refuses = frozenset({"start 1"})

    report = roll_back(SHOP, "build-unknown", target)

    assert (report.rollback_status, report.service_health) == ("not_needed", "inactive")


def test_a_roll_back_on_a_full_disk_fails_and_can_be_repeated() -> None:
    class FullDisk(FakeTarget):
        def archive(self, service: str, release_id: str) -> None:
            raise OSError(28, "No space left on device", service, None, release_id)

    target = FullDisk()
    deploy(verified("1"), target, passes)

    report = roll_back(SHOP, "build-1", target)

    assert report.rollback_status == "failed"
    assert "cannot roll shop back on fake: [Errno 28] No space left on device" in report.detail

    assert target.holders == {}


# -- killed at every step

STEPS = range(8)  # reserve, record, install, start, record, switch, record, and beyond


@pytest.mark.parametrize("when", ["dies_before", "dies_after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_deployer_killed_at_any_step_can_be_rolled_back(when: str, step: int) -> None:
    target = FakeTarget()
    live(target, "1")
    setattr(target, when, len(target.did) + step)
    _die(target)

    roll_back(SHOP, "build-2", target)

    assert_only("1", target)
    assert target.installed == {(SHOP, "1")}


@pytest.mark.parametrize("when", ["dies_before", "dies_after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_first_deployer_killed_at_any_step_leaves_nothing(when: str, step: int) -> None:
    target = FakeTarget()
    setattr(target, when, step)
    _die(target)

    roll_back(SHOP, "build-2", target)

    assert_nothing(target)


@pytest.mark.parametrize("when", ["dies_before", "dies_after"])
@pytest.mark.parametrize("step", range(8))
def test_a_roll_back_killed_at_any_step_can_be_repeated(when: str, step: int) -> None:
    target = FakeTarget()
    live(target, "1", "2")
    setattr(target, when, len(target.did) + step)
    with contextlib.suppress(Killed):
        roll_back(SHOP, "build-2", target)
    target.dies_before = target.dies_after = None

    roll_back(SHOP, "build-2", target)

    assert_only("1", target)
    assert target.installed == {(SHOP, "1")}


def test_a_killed_switch_that_is_undone_counts_as_restored() -> None:
    target = FakeTarget()
    live(target, "1")
    target.dies_after = len(target.did) + 5
    _die(target)
    assert target.routes == {SHOP: "2"}

    report = roll_back(SHOP, "build-2", target)

    assert (report.rollback_status, report.previous_version_restored) == ("success", True)


def _die(target: FakeTarget) -> None:
    """Let the deployment of release 2 die where the target was told to; step 7 comes after it."""
    with contextlib.suppress(Killed):
        deploy(verified("2"), target, passes)
    target.dies_before = target.dies_after = None


# -- describe


def test_nothing_is_live_on_an_empty_target() -> None:
    assert describe(SHOP, FakeTarget()) is None


def test_what_is_live_can_be_described() -> None:
    target = FakeTarget()
    live(target, "1")
    deploy(verified("2"), target, passes)

    assert describe(SHOP, target) == LiveService(
        release_id="2",
        build_id="build-2",
        url="http://127.0.0.1:8350",
    )
