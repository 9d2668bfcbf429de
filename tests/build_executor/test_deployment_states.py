"""Deployments, roll-backs, deaths and lost hosts in any order: what must be true afterwards."""

import contextlib

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from build_executor.deployment import Rollout, deploy, prove, roll_back
from build_executor.errors import DeploymentFailed
from build_executor.targets import availability
from tests.deploying import SHOP, passes, verified
from tests.fakes.target import FakeTarget, Killed

CANARY = Rollout(guard_seconds=0, canary_steps=(50,), canary_step_seconds=0)
hosts = strategies.integers(0, 1)
moments = strategies.sampled_from(["dies_before", "dies_after"])
steps = strategies.integers(0, 11)


class TwoHosts(RuleBasedStateMachine):
    """Somebody always repairs: the roll-back of every build that did not end well is run."""

    @initialize()
    def build_two_hosts(self) -> None:
        self.hosts = (FakeTarget("one", keep_releases=2), FakeTarget("two", keep_releases=2))
        self.releases = 0
        self.unwell = list[str]()

    def teardown(self) -> None:
        if hasattr(self, "hosts"):
            self.repair()

    @rule()
    def deploy_well(self) -> None:
        self.repair()
        self._deploy()

        assert self.hosts[0].routes == self.hosts[1].routes == {SHOP: str(self.releases)}
        assert self.unwell == []

    @rule(number=hosts, moment=moments, step=steps)
    def deploy_and_die(self, number: int, moment: str, step: int) -> None:
        setattr(self.hosts[number], moment, len(self.hosts[number].did) + step)
        self._deploy()

    @rule(number=hosts, verb=strategies.sampled_from(["install", "start", "switch"]))
    def deploy_what_one_host_refuses(self, number: int, verb: str) -> None:
        self.hosts[number].refuses = frozenset({f"{verb} {self.releases + 1}"})
        self._deploy()

    @rule(number=hosts)
    def lose_a_host(self, number: int) -> None:
        self.hosts[number].is_cut_off = True

    @rule(number=hosts, moment=moments, step=steps, back=strategies.integers(0, 2))
    def roll_back_and_die(self, number: int, moment: str, step: int, back: int) -> None:
        build_id = f"build-{max(1, self.releases - back)}"
        self.unwell.append(build_id)
        setattr(self.hosts[number], moment, len(self.hosts[number].did) + step)
        with contextlib.suppress(Killed):
            roll_back(SHOP, build_id, self.hosts)
        self._be_well()

    @rule()
    def repair(self) -> None:
        self._be_well()
        for host in self.hosts:
            host.is_cut_off = False
        for build_id in self.unwell:
            roll_back(SHOP, build_id, self.hosts)
        self.unwell = []
        self._check()

    def _deploy(self) -> None:
        """At most two builds are unwell: the reconciler lets nobody wait for long."""
        if len(self.unwell) > 1:
            self.repair()
        self.releases += 1
        release = verified(str(self.releases))
        try:
            prove(deploy(release, self.hosts, passes, CANARY), self.hosts)
        except (Killed, DeploymentFailed):
            self.unwell.append(release.release.build_id)
        self._be_well()

    def _be_well(self) -> None:
        for host in self.hosts:
            host.dies_before = host.dies_after = None
            host.refuses = frozenset()

    def _check(self) -> None:
        """One release, the same everywhere, has all traffic; no lock is held."""
        one, two = self.hosts
        assert one.routes == two.routes
        for host in self.hosts:
            live = host.state_of(SHOP).live
            assert host.routes == ({} if live is None else {SHOP: live})
            assert host.offered == {}
            assert host.holders == {}
            assert live is None or (SHOP, live) in host.running


def test_two_hosts_are_always_brought_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "_PAUSE_SECONDS", 0.001)
    kinds = settings(max_examples=40, stateful_step_count=12, deadline=None)

    run_state_machine_as_test(TwoHosts, settings=kinds)
