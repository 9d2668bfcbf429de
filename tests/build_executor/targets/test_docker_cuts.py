"""The engine is lost at every call of deploying and of going back: one version, nothing left."""

import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_executor.deployment import Rollout, deploy, prove, roll_back
from build_executor.errors import BuildExecutorError
from build_executor.models import Check, VerifiedRelease
from build_executor.settings import Settings
from build_executor.targets.host import Patience
from build_executor.targets.local import LocalTarget, local_supervisor_down, local_target
from build_executor.targets.probing import release_at
from tests.fakes.docker import FakeEngine
from tests.fakes.release import Releases

pytestmark = pytest.mark.full

NO_GUARD = Rollout(guard_seconds=0)
FEWEST_CALLS, MOST_CALLS = 20, 150
CUTS = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


class Machine:
    """This machine with an engine, and a first release of a service that is live and proven."""

    def __init__(self, engine: FakeEngine, settings: Settings, releases: Releases) -> None:
        self.engine, self.settings = engine, settings
        self.first, self.second = releases.build("1.0.0"), releases.build("2.0.0")
        self.service, self.port = releases.service, releases.port
        prove(deploy(self.first, [self.target()], passes, NO_GUARD), [self.target()])

    def target(self) -> LocalTarget:
        """The machine as a process that has just started sees it."""
        return local_target(self.settings, Patience(start=2, switch=2, drain=0.1, lock=1))

    @contextlib.contextmanager
    def cut(self, at: int, *, after: bool) -> Iterator[None]:
        self.engine.calls, self.engine.cut_at, self.engine.cuts_after = 0, at, after
        with contextlib.suppress(BuildExecutorError):
            yield
        self.engine.cut_at = 0
        gc.collect()  # errors of the SDK hold themselves, and the connections that they met

    def go_back_twice(self) -> None:
        release = self.second.release
        for _ in range(2):
            roll_back(self.service, release.build_id, [self.target()])

    def assert_only(self, verified: VerifiedRelease) -> None:
        release_id, label = verified.release.id, "build-executor.release"
        containers = [c.labels.get(label) for c in self.engine.containers.values()]
        images = [i.labels[label] for i in self.engine.images.values() if label in i.labels]
        assert release_at(f"http://127.0.0.1:{self.port}") == release_id
        assert containers == [release_id]
        assert images == [release_id]
        with self.target().locked(self.service, "somebody else"):
            pass


def passes(_: str) -> tuple[Check, ...]:
    return (Check(name="GET /health", passed=True),)


@pytest.fixture
def machine(tmp_path: Path, releases: Releases) -> Iterator[Machine]:
    with FakeEngine(tmp_path / "docker.sock") as engine:
        settings = Settings(
            build_executor_home=tmp_path / "home",
            docker=True,
            docker_host=engine.address,
            docker_base_image="base:1",
        )
        try:
            yield Machine(engine, settings, releases)
        finally:
            local_supervisor_down(settings)


@CUTS
def test_a_deployment_that_loses_its_engine_is_undone_by_going_back(
    machine: Machine, *, after: bool
) -> None:
    for at in range(1, MOST_CALLS):
        with machine.cut(at, after=after):
            deploy(machine.second, [machine.target()], passes, NO_GUARD)
        calls = machine.engine.calls
        machine.go_back_twice()
        machine.assert_only(machine.first)
        if calls < at:
            break
    assert FEWEST_CALLS < at < MOST_CALLS - 1


@CUTS
def test_going_back_is_finished_by_going_back_again(machine: Machine, *, after: bool) -> None:
    for at in range(1, MOST_CALLS):
        deploy(machine.second, [machine.target()], passes, NO_GUARD)
        with machine.cut(at, after=after):
            roll_back(machine.service, machine.second.release.build_id, [machine.target()])
        calls = machine.engine.calls
        machine.go_back_twice()
        machine.assert_only(machine.first)
        if calls < at:
            break
    assert FEWEST_CALLS < at < MOST_CALLS - 1
