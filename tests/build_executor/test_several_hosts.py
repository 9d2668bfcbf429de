"""A target of two hosts: both run the new release, or both run what they ran before."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from build_executor.deployment import Rollout, deploy, roll_back
from build_executor.errors import DeployLocked, DeploymentFailed
from build_executor.models import Check
from tests.deploying import (
    SHOP,
    assert_nothing,
    assert_only,
    bring,
    fails,
    live,
    passes,
    verified,
)
from tests.fakes.target import FakeLedger, FakeTarget, Killed


@pytest.fixture
def one() -> FakeTarget:
    return FakeTarget("one")


@pytest.fixture
def two() -> FakeTarget:
    return FakeTarget("two")


def test_no_host_is_switched_before_all_have_passed_the_gate(
    one: FakeTarget, two: FakeTarget
) -> None:
    routes = []

    def gate(url: str) -> tuple[Check, ...]:
        routes.append({**one.routes, **two.routes})
        return passes(url)

    deployments = bring("1", one, two, gate=gate)

    assert routes[:2] == [{}, {}]
    assert [deployed.target for deployed in deployments] == ["one", "two"]
    assert_only("1", one, two)


@pytest.mark.parametrize("step", ["reserve 8350", "install 2", "start 2", "switch 2"])
def test_what_one_host_cannot_do_changes_nothing_on_the_other(
    one: FakeTarget, two: FakeTarget, step: str
) -> None:
    live(one, two)
    two.refuses = frozenset({step})

    with pytest.raises(DeploymentFailed, match=f"two: cannot {step}"):
        bring("2", one, two)

    assert_only("1", one, two)


def test_what_fails_the_gate_on_one_host_gets_traffic_on_none(
    one: FakeTarget, two: FakeTarget
) -> None:
    live(one, two)
    answers = iter([passes(""), fails("")])

    with pytest.raises(DeploymentFailed, match="two: 2 started at"):
        bring("2", one, two, gate=lambda _: next(answers))

    assert "switch 2" not in one.did + two.did
    assert_only("1", one, two)


def test_a_crash_on_one_host_sends_both_back(one: FakeTarget, two: FakeTarget) -> None:
    live(one, two)

    def crash_when_public(url: str) -> tuple[Check, ...]:
        if two.routes == {SHOP: "2"}:
            two.crashed.add("2")
        return passes(url)

    with pytest.raises(DeploymentFailed, match=r"one: 1 is live again .*; two: 1 is live again"):
        deploy(verified("2"), [one, two], crash_when_public, Rollout(guard_seconds=30))

    assert_only("1", one, two)


def test_a_second_deployer_is_refused_if_one_host_is_being_deployed_to(
    one: FakeTarget, two: FakeTarget
) -> None:
    with two.locked(SHOP, "build-9"), pytest.raises(DeployLocked, match="build-9"):
        bring("1", one, two)

    assert_nothing(one)


def test_a_lock_that_cannot_be_opened_is_a_failed_deployment(one: FakeTarget) -> None:
    class FullDisk(FakeTarget):
        @contextmanager
        def locked(self, service: str, build_id: str) -> Iterator[FakeLedger]:
            with super().locked(service, build_id) as ledger:
                raise OSError(28, "No space left on device")
                yield ledger

    with pytest.raises(DeploymentFailed, match=r"cannot lock shop on two: .*No space left"):
        bring("1", one, FullDisk("two"))

    assert_nothing(one)


def test_a_host_that_cannot_be_reached_refuses_the_deployment_for_all(
    one: FakeTarget, two: FakeTarget
) -> None:
    live(one, two)
    two.is_cut_off = True

    with pytest.raises(DeploymentFailed, match="two cannot be reached"):
        bring("2", one, two)

    assert_only("1", one)


def test_a_host_that_is_lost_after_the_switch_is_finished_when_it_is_back(
    one: FakeTarget, two: FakeTarget
) -> None:
    live(one, two)

    def cut_when_public(url: str) -> tuple[Check, ...]:
        two.is_cut_off = two.routes == {SHOP: "2"}
        return passes(url)

    with pytest.raises(DeploymentFailed, match="cannot roll shop back on two"):
        deploy(verified("2"), [one, two], cut_when_public, Rollout(guard_seconds=30))
    assert_only("1", one)

    assert [report.rollback_status for report in roll_back(SHOP, "build-2", [one, two])] == [
        "not_needed",
        "failed",
    ]
    two.is_cut_off = False
    assert [report.rollback_status for report in roll_back(SHOP, "build-2", [one, two])] == [
        "not_needed",
        "success",
    ]

    assert_only("1", one, two)


def test_a_host_that_is_new_is_emptied_again_while_the_other_one_goes_back(
    one: FakeTarget, two: FakeTarget
) -> None:
    live(one)
    bring("2", one, two)

    one_report, two_report = roll_back(SHOP, "build-2", [one, two])

    assert (one_report.live_release, two_report.live_release) == ("1", None)
    assert_only("1", one)
    assert_nothing(two)


def test_both_go_back_to_what_answers_on_both(one: FakeTarget, two: FakeTarget) -> None:
    live(one, two, releases=("1", "2", "3"))
    two.crashed.add("2")

    reports = roll_back(SHOP, "build-3", [one, two])

    assert [report.live_release for report in reports] == ["1", "1"]
    assert one.routes == two.routes == {SHOP: "1"}


def test_both_keep_the_release_if_nothing_better_answers_on_both(
    one: FakeTarget, two: FakeTarget
) -> None:
    live(one, two, releases=("1", "2"))
    two.crashed.add("1")

    reports = roll_back(SHOP, "build-2", [one, two])

    assert [report.rollback_status for report in reports] == ["failed", "failed"]
    assert one.routes == two.routes == {SHOP: "2"}


def test_both_keep_the_release_if_one_has_nothing_else_any_more(
    one: FakeTarget, two: FakeTarget
) -> None:
    live(one, two, releases=("1", "2"))
    with one.locked(SHOP, "build-0") as ledger:
        one.archive(SHOP, "1")
        ledger.record(ledger.state.without({"1"}))

    reports = roll_back(SHOP, "build-2", [one, two])

    assert [report.rollback_status for report in reports] == ["failed", "failed"]
    assert_only("2", one, two)


def test_hosts_that_never_were_alike_go_back_to_what_each_had(
    one: FakeTarget, two: FakeTarget
) -> None:
    live(one, releases=("1",))
    live(two, releases=("2",))
    bring("3", one, two)

    roll_back(SHOP, "build-3", [one, two])

    assert_only("1", one)
    assert_only("2", two)


def test_an_older_build_is_not_undone_while_another_deployment_is_unfinished(
    one: FakeTarget, two: FakeTarget
) -> None:
    live(one, two, releases=("1", "2"))
    two.dies_before = len(two.did) + 4
    with pytest.raises(Killed):
        bring("3", one, two)
    two.dies_before = None
    assert (one.routes, two.routes) == ({SHOP: "3"}, {SHOP: "2"})

    assert roll_back(SHOP, "build-2", [one, two])[1].rollback_status == "failed"
    roll_back(SHOP, "build-3", [one, two])

    assert_only("2", one, two)


def test_dead_builds_that_were_deployed_over_each_other_are_undone_in_any_order(
    one: FakeTarget, two: FakeTarget
) -> None:
    live(one, two)
    bring("2", one, two)
    two.dies_before = len(two.did) + 4
    with pytest.raises(Killed):
        bring("3", one, two)
    two.dies_before = None

    for build_id in ("build-2", "build-3", "build-2"):
        roll_back(SHOP, build_id, [one, two])

    assert_only("1", one, two)


def test_a_host_that_was_moved_already_is_moved_back_if_another_one_cannot_be(
    one: FakeTarget, two: FakeTarget
) -> None:
    live(one, two, releases=("1", "2"))
    two.refuses = frozenset({"switch 1"})

    reports = roll_back(SHOP, "build-2", [one, two])

    assert [report.rollback_status for report in reports] == ["failed", "failed"]
    assert one.routes == two.routes == {SHOP: "2"}


def test_a_host_whose_bad_release_died_stays_where_it_was_moved(
    one: FakeTarget, two: FakeTarget
) -> None:
    live(one, two, releases=("1", "2"))
    one.crashed.add("2")
    two.refuses = frozenset({"switch 1"})

    reports = roll_back(SHOP, "build-2", [one, two])

    assert [report.live_release for report in reports] == ["1", "2"]


def test_a_host_that_is_lost_while_it_goes_back_does_not_hold_up_the_other_one(
    one: FakeTarget,
) -> None:
    class Lost(FakeTarget):
        def switch(self, service: str, release_id: str, port: int) -> str:
            self.is_cut_off = release_id == "1" and self.routes != {}
            return super().switch(service, release_id, port)

    two = Lost("two")
    live(one, two, releases=("1", "2"))

    reports = roll_back(SHOP, "build-2", [one, two])

    assert [report.rollback_status for report in reports] == ["success", "failed"]
    assert "two cannot be reached" in reports[1].detail
    assert_only("1", one)


def test_a_roll_back_that_lost_its_lock_goes_no_further(one: FakeTarget) -> None:
    class Overtaken(FakeTarget):
        @contextmanager
        def step(self, what: str) -> Iterator[None]:
            if what == "record 1/None":
                raise DeployLocked("somebody else has taken over")
            with super().step(what):
                yield

    two = Overtaken("two")
    live(one, releases=("1", "2"))
    two.states, two.ports = dict(one.states), dict(one.ports)
    two.installed, two.running = set(one.installed), set(one.running)
    two.routes = dict(one.routes)

    with pytest.raises(DeployLocked, match="somebody else has taken over"):
        roll_back(SHOP, "build-2", [two])

    assert two.holders == {}


def test_a_roll_back_brings_proof_from_every_host(one: FakeTarget, two: FakeTarget) -> None:
    live(one, two, releases=("1", "2"))

    for report in roll_back(SHOP, "build-2", [one, two]):
        assert report.proof is not None
        assert report.proof.release == "1"
        assert report.proof.url == "http://127.0.0.1:8350"
        assert report.proof.good_answers == 5
        assert report.proof.availability is not None
        assert report.proof.availability.failed == 0


def test_a_release_that_does_not_keep_answering_is_not_gone_back_to() -> None:
    class Flickering(FakeTarget):
        is_flickering = False

        def answering(self, url: str) -> str | None:
            found = super().answering(url)
            return None if found == "2" and self.is_flickering else found

    target = Flickering()
    live(target, releases=("1", "2", "3"))
    target.is_flickering = True

    (report,) = roll_back(SHOP, "build-3", [target])

    assert report.live_release == "1"
