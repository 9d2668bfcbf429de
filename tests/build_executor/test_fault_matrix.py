"""The deploying process dies before or after every single step, on each of two hosts, and the
roll-back is run twice by somebody else: what must be true then is always the same.
"""

import contextlib
from collections.abc import Callable

import pytest

from build_executor.deployment import Rollout, deploy, prove, roll_back
from build_executor.models import RollbackReport
from build_executor.targets import availability
from tests.deploying import SHOP, assert_nothing, assert_only, live, passes, verified
from tests.fakes.target import FakeTarget, Killed

CANARY = Rollout(guard_seconds=0, canary_steps=(50,), canary_step_seconds=0)
Hosts = tuple[FakeTarget, FakeTarget]

every_moment = pytest.mark.parametrize("when", ["dies_before", "dies_after"])
each_host = pytest.mark.parametrize("number", [0, 1])


@pytest.fixture(autouse=True)
def _quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "_PAUSE_SECONDS", 0.001)


@pytest.fixture
def hosts() -> Hosts:
    return FakeTarget("one"), FakeTarget("two")


def go_live(hosts: Hosts) -> None:
    prove(deploy(verified("2"), hosts, passes, CANARY), hosts)


def go_back(hosts: Hosts) -> tuple[RollbackReport, ...]:
    return roll_back(SHOP, "build-2", hosts)


def dies(dying: FakeTarget, when: str, step: int, work: Callable[[], object]) -> bool:
    """Let the process die at this step of the host; whether there was such a step."""
    setattr(dying, when, len(dying.did) + step)
    try:
        work()
    except Killed:
        return True
    finally:
        dying.dies_before = dying.dies_after = None
    return False


def steps_of(hosts: Hosts, work: Callable[[Hosts], object]) -> int:
    before = len(hosts[0].did)
    work(hosts)
    return len(hosts[0].did) - before


# reserve, record, install, start, offer, record, switch, record, prove, stop
DEPLOY_STEPS = range(10)
FIRST_STEPS = range(8)
BACK_STEPS = range(7)


def test_the_matrix_has_every_step(hosts: Hosts) -> None:
    first = steps_of((FakeTarget("one"), FakeTarget("two")), go_live)
    live(*hosts)

    assert first == len(FIRST_STEPS)
    assert steps_of(hosts, go_live) == len(DEPLOY_STEPS)
    assert steps_of(hosts, go_back) == len(BACK_STEPS)


@every_moment
@each_host
@pytest.mark.parametrize("step", DEPLOY_STEPS)
def test_a_deployer_that_dies_leaves_both_hosts_on_the_old_release(
    hosts: Hosts, when: str, number: int, step: int
) -> None:
    live(*hosts)
    assert dies(hosts[number], when, step, lambda: go_live(hosts))

    for _ in range(2):
        go_back(hosts)

        assert_only("1", *hosts)
        assert hosts[0].installed == hosts[1].installed == {(SHOP, "1")}


@every_moment
@each_host
@pytest.mark.parametrize("step", FIRST_STEPS)
def test_a_first_deployer_that_dies_leaves_nothing_or_a_proven_release_on_both_hosts(
    hosts: Hosts, when: str, number: int, step: int
) -> None:
    assert dies(hosts[number], when, step, lambda: go_live(hosts))
    is_proven = any(host.state_of(SHOP).proven for host in hosts)

    for _ in range(2):
        go_back(hosts)

        if is_proven:
            assert_only("2", *hosts)
        else:
            assert_nothing(*hosts)


@every_moment
@each_host
@pytest.mark.parametrize("step", BACK_STEPS)
def test_a_roll_back_that_dies_is_finished_by_the_next_one(
    hosts: Hosts, when: str, number: int, step: int
) -> None:
    live(*hosts, releases=("1", "2"))
    assert dies(hosts[number], when, step, lambda: go_back(hosts))

    for _ in range(2):
        go_back(hosts)

        assert_only("1", *hosts)
        assert hosts[0].installed == hosts[1].installed == {(SHOP, "1")}


@every_moment
@each_host
@pytest.mark.parametrize("step", BACK_STEPS)
def test_a_deployer_and_a_roll_back_that_both_die_are_finished_by_the_next_one(
    hosts: Hosts, when: str, number: int, step: int
) -> None:
    live(*hosts)
    assert dies(hosts[1], "dies_after", DEPLOY_STEPS[6], lambda: go_live(hosts))
    dies(hosts[number], when, step, lambda: go_back(hosts))

    for _ in range(2):
        with contextlib.suppress(Killed):
            go_back(hosts)

        assert_only("1", *hosts)


@every_moment
@each_host
@pytest.mark.parametrize("step", DEPLOY_STEPS)
def test_a_deployment_after_a_dead_one_needs_no_roll_back(
    hosts: Hosts, when: str, number: int, step: int
) -> None:
    live(*hosts)
    assert dies(hosts[number], when, step, lambda: go_live(hosts))

    prove(deploy(verified("3"), hosts, passes, CANARY), hosts)

    assert_only("3", *hosts)
