"""A release that goes wrong after it has passed the gate: what is seen, and what is live then."""

import logging

import pytest

from build_executor import guard
from build_executor.deployment import Rollout, deploy
from build_executor.errors import DeploymentFailed, NoAnswer
from build_executor.guard import Gate
from build_executor.models import Check
from build_executor.targets import availability
from build_executor.targets.switch import Counts
from tests.deploying import (
    PRIVATE,
    PUBLIC,
    SHOP,
    assert_nothing,
    assert_only,
    fails,
    live,
    passes,
    verified,
)
from tests.fakes.target import FakeTarget

LONG = Rollout(guard_seconds=30)
CANARY = Rollout(guard_seconds=0, canary_steps=(10, 50), canary_step_seconds=0)


def at_the_public_address(happens: Gate) -> Gate:
    """Passes, but for what happens when the guard asks for the first time in public."""
    return lambda url: happens(url) if url == PUBLIC else passes(url)


def failure_of(target: FakeTarget, gate: Gate, rollout: Rollout = LONG) -> DeploymentFailed:
    with pytest.raises(DeploymentFailed) as failure:
        deploy(verified("2"), [target], gate, rollout)
    return failure.value


def test_a_crash_sends_the_traffic_back_at_once_and_says_when(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "_MOST_MISSES", 1000)
    target = FakeTarget()
    live(target)

    def crash(url: str) -> tuple[Check, ...]:
        target.crashed.add("2")
        return passes(url)

    failure = failure_of(target, at_the_public_address(crash))

    assert [finding.rule for finding in failure.findings] == ["crash"]
    assert "s after the switch on fake: its process ended" in failure.findings[0].message
    assert "fake: 1 is live again instead of 2" in failure.message
    assert "requests failed" in failure.message
    assert_only("1", target)


def test_a_first_release_that_crashes_leaves_nothing() -> None:
    target = FakeTarget()

    def crash(url: str) -> tuple[Check, ...]:
        target.crashed.add("2")
        return passes(url)

    failure_of(target, at_the_public_address(crash))

    assert_nothing(target)


def test_a_release_that_says_nothing_any_more_is_given_up() -> None:
    target = FakeTarget()
    live(target)

    def fall_silent(url: str) -> tuple[Check, ...]:
        target.mute.add("2")
        return passes(url)

    failure = failure_of(target, at_the_public_address(fall_silent))

    assert "3 requests in a row had no healthy answer" in failure.findings[0].message
    assert_only("1", target)


def test_a_broken_way_to_a_release_that_users_reach_is_no_bad_sign() -> None:
    class Detached(FakeTarget):
        def answering(self, url: str) -> str | None:
            return None if url == PRIVATE and self.routes == {SHOP: "2"} else super().answering(url)

    target = Detached()
    live(target)

    deploy(verified("2"), [target], passes, Rollout(guard_seconds=0.5))

    assert target.routes == {SHOP: "2"}


def test_an_address_that_nobody_answers_for_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "_SILENCE_SECONDS", 0.2)

    class Hidden(FakeTarget):
        def answering(self, url: str) -> str | None:
            is_hidden = url == PUBLIC and self.routes == {SHOP: "2"}
            return None if is_hidden else super().answering(url)

    target = Hidden()
    live(target)

    failure = failure_of(target, passes)

    assert "no healthy answer for 0.2 s" in failure.findings[0].message
    assert_only("1", target)


def test_another_release_at_the_private_address_is_a_bad_sign() -> None:
    class Mistaken(FakeTarget):
        def answering(self, url: str) -> str | None:
            found = super().answering(url)
            return "3" if found == "2" and url == PRIVATE else found

    target = Mistaken()
    live(target)

    failure = failure_of(target, passes)

    assert [finding.rule for finding in failure.findings] == ["marker"]
    assert_only("1", target)


def test_users_who_meet_more_errors_than_before_get_the_old_release_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "_LOOK_SECONDS", 0.01)
    target = FakeTarget()
    live(target)
    target.tallies[SHOP, "1"] = Counts(answered=99, failed=1)

    def break_down(url: str) -> tuple[Check, ...]:
        target.counted.wait(30)  # the lookout begins with what was counted before
        target.counted.clear()
        target.counted.wait(30)
        target.tallies[SHOP, "2"] = Counts(answered=0, failed=20)
        return passes(url)

    failure = failure_of(target, at_the_public_address(break_down))

    assert [finding.rule for finding in failure.findings] == ["errors"]
    assert "20 of 20 requests failed (before: 1%)" in failure.findings[0].message
    assert_only("1", target)


def test_errors_that_users_met_before_as_well_are_no_reason_to_go_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "_LOOK_SECONDS", 0.01)
    target = FakeTarget()
    live(target)
    target.tallies[SHOP, "1"] = Counts(answered=0, failed=1000)

    def fail_as_ever(url: str) -> tuple[Check, ...]:
        target.counted.wait(30)
        target.counted.clear()
        target.counted.wait(30)
        target.tallies[SHOP, "2"] = Counts(answered=700, failed=300)
        return passes(url)

    deploy(verified("2"), [target], at_the_public_address(fail_as_ever), Rollout(guard_seconds=0.2))

    assert target.routes == {SHOP: "2"}


def test_a_contract_that_is_broken_in_public_only_is_seen() -> None:
    target = FakeTarget()
    live(target)

    failure = failure_of(target, at_the_public_address(fails), Rollout(guard_seconds=0))

    assert failure.findings[0].gate == "guard"
    assert failure.findings[0].message.endswith("s after the switch on fake: answered 500")
    assert_only("1", target)


def test_a_contract_that_nobody_answers_is_broken() -> None:
    def no_answer(url: str) -> tuple[Check, ...]:
        raise NoAnswer("GET", url, "refused")

    target = FakeTarget()
    live(target)

    failure = failure_of(target, at_the_public_address(no_answer))

    assert [finding.rule for finding in failure.findings] == ["contract"]
    assert_only("1", target)


def test_the_contract_is_asked_again_at_both_addresses_before_the_guard_ends() -> None:
    target, asked = FakeTarget(), list[str]()

    def gate(url: str) -> tuple[Check, ...]:
        asked.append(url)
        return passes(url)

    deploy(verified("2"), [target], gate, Rollout(guard_seconds=0.05))

    assert sorted(asked) == sorted([PRIVATE, PUBLIC, PUBLIC, PRIVATE])


@pytest.mark.parametrize("address", [PUBLIC, PRIVATE])
def test_a_contract_that_is_broken_only_at_the_end_of_the_guard_is_seen(address: str) -> None:
    target, asked = FakeTarget(), list[str]()
    live(target)

    def gate(url: str) -> tuple[Check, ...]:
        asked.append(url)
        return fails(url) if asked.count(address) > 1 and url == address else passes(url)

    failure = failure_of(target, gate, Rollout(guard_seconds=0.05))

    assert [finding.message.rpartition(": ")[2] for finding in failure.findings] == ["answered 500"]
    assert_only("1", target)


def test_a_host_that_is_lost_while_it_is_guarded_is_named() -> None:
    target = FakeTarget()
    live(target)

    def cut(url: str) -> tuple[Check, ...]:
        target.is_cut_off = True
        return passes(url)

    failure = failure_of(target, at_the_public_address(cut))

    assert [finding.rule for finding in failure.findings] == ["lost"]
    assert "cannot roll shop back on fake: fake cannot be reached" in failure.message


def test_the_guard_says_how_far_it_is(caplog: pytest.LogCaptureFixture) -> None:
    target = FakeTarget()

    with caplog.at_level(logging.INFO):
        deploy(verified("2"), [target], passes, Rollout(guard_seconds=0.05))

    assert "99%: guarded: 0 of 0.05 s without a bad sign" in caplog.text


def test_a_deployment_says_how_available_the_service_was() -> None:
    target = FakeTarget()
    live(target)

    (deployed,) = deploy(verified("2"), [target], passes, Rollout(guard_seconds=0.05))

    assert deployed.availability is not None
    assert deployed.availability.failed == 0
    assert deployed.availability.requests >= 5


def test_users_are_watched_from_before_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "_NOT_ASKED_SECONDS", 30)

    class Attentive(FakeTarget):
        asked_before_switch: tuple[int, ...] = ()

        def switch(self, service: str, release_id: str, port: int) -> str:
            self.asked_before_switch += (self.asked,)
            return super().switch(service, release_id, port)

    target = Attentive()
    live(target)
    target.asked = 0

    deploy(verified("2"), [target], passes, Rollout(guard_seconds=0))

    assert target.asked_before_switch[-1] > 0


# -- the canary


def test_a_canary_gets_its_shares_before_all_traffic() -> None:
    target = FakeTarget()
    live(target)
    before = len(target.did)

    deploy(verified("2"), [target], passes, CANARY)

    steps = [step for step in target.did[before:] if step.startswith(("offer", "switch"))]
    assert steps == ["offer 2 10", "offer 2 50", "switch 2"]
    assert target.offered == {}


def test_there_is_nothing_to_share_on_a_first_deployment() -> None:
    target = FakeTarget()

    deploy(verified("2"), [target], passes, CANARY)

    assert not [step for step in target.did if step.startswith("offer")]


def test_a_release_that_is_live_shares_nothing_with_itself() -> None:
    target = FakeTarget()
    live(target)

    deploy(verified("1", "again"), [target], passes, CANARY)

    assert not [step for step in target.did if step.startswith("offer")]
    assert_only("1", target)


def test_a_canary_that_crashes_is_withdrawn_and_the_old_release_keeps_everything() -> None:
    class Fragile(FakeTarget):
        def offer(self, service: str, release_id: str, port: int, share: int) -> None:
            super().offer(service, release_id, port, share)
            self.crashed.add(release_id)

    target = Fragile()
    live(target)

    failure = failure_of(target, passes, CANARY)

    assert failure.findings[0].rule == "crash"
    assert "s after it was offered on fake" in failure.findings[0].message
    assert "switch 2" not in target.did
    assert_only("1", target)


def test_a_canary_that_cannot_be_offered_is_a_failed_deployment() -> None:
    target = FakeTarget()
    live(target)
    target.refuses = frozenset({"offer 2 50"})

    failure = failure_of(target, passes, CANARY)

    assert "fake: cannot offer 2 50" in failure.message
    assert_only("1", target)


def test_a_canary_that_goes_wrong_loses_its_share_before_anything_is_started() -> None:
    target = FakeTarget()
    live(target)
    target.refuses = frozenset({"offer 2 50"})

    failure_of(target, passes, CANARY)

    back = target.did[target.did.index("offer 2 50") + 1 :]
    assert back.index("withdraw") < back.index("start 1")
