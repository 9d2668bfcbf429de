"""The connection to a production host is lost at every command, of deploying and of going back.

The host is in this process (tests/fakes/production.py); its program, its locks and its files are
the real ones.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath

import pytest

from build_executor.deployment import Rollout, deploy, prove, roll_back
from build_executor.errors import BuildExecutorError, DeploymentFailed
from build_executor.models import Check, RollbackReport, VerifiedRelease
from build_executor.settings import Settings
from build_executor.targets.host import HostTarget, Patience
from build_executor.targets.probing import release_at
from build_executor.targets.production import host_parts
from build_executor.targets.shell import Login, Shell
from tests.fakes.production import CutShell, FakeShell
from tests.fakes.release import Releases

pytestmark = pytest.mark.full

LOGIN = Login(user="deploy", host="127.0.0.1")
NO_GUARD = Rollout(guard_seconds=0)
FEWEST_COMMANDS, MOST_COMMANDS = 10, 60


class Host:
    """A production host with a first release of a service that is live and proven."""

    def __init__(self, root: Path, releases: Releases) -> None:
        self.root, self.shell = root, FakeShell()
        self.first, self.second = releases.build("1.0.0"), releases.build("2.0.0")
        self.service, self.port = releases.service, releases.port
        live(self.first, self.target())

    def target(self, shell: Shell | None = None) -> HostTarget:
        """The host as a process that has just started sees it."""
        settings = Settings(
            production_root=PurePosixPath(self.root), production_bind=IPv4Address("127.0.0.1")
        )
        parts = host_parts(shell or self.shell, LOGIN, lambda *_: None, settings, 1)
        return HostTarget("production", parts, patience=Patience(start=2, switch=2, drain=0.1))

    def assert_only(self, verified: VerifiedRelease) -> None:
        release_id = verified.release.id
        folder = self.root / self.service / "releases"
        assert release_at(f"http://127.0.0.1:{self.port}") == release_id
        assert [path.name for path in folder.iterdir()] == [release_id]
        assert [unit for unit in self.shell.manager.units if "@" in unit] == [
            f"build-executor-{self.service}@{release_id}.service"
        ]
        with self.target().locked(self.service, "somebody else"):
            pass


def live(verified: VerifiedRelease, target: HostTarget) -> None:
    prove(deploy(verified, [target], passes, NO_GUARD), [target])


def passes(_: str) -> tuple[Check, ...]:
    return (Check(name="GET /health", passed=True),)


def roll_back_twice(host: Host) -> RollbackReport:
    release = host.second.release
    roll_back(release.service, release.build_id, [host.target()])
    return roll_back(release.service, release.build_id, [host.target()])[0]


@pytest.fixture
def host(releases: Releases) -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="h") as root:
        host = Host(Path(root) / "apps", releases)
        with host.shell:
            yield host


CUTS = pytest.mark.parametrize(
    ("is_after", "stays_away"), [(False, True), (True, False)], ids=["before", "after"]
)


@CUTS
def test_a_deployment_that_loses_its_host_is_undone_by_going_back(
    host: Host, *, is_after: bool, stays_away: bool
) -> None:
    for at in range(1, MOST_COMMANDS):
        shell = CutShell(host.shell, at, is_after=is_after, stays_away=stays_away)
        with contextlib.suppress(BuildExecutorError):
            deploy(host.second, [host.target(shell)], passes, NO_GUARD)
        roll_back_twice(host)
        host.assert_only(host.first)
        if shell.count < at:
            break
    assert FEWEST_COMMANDS < at < MOST_COMMANDS - 1


@CUTS
def test_going_back_is_finished_by_going_back_again(
    host: Host, *, is_after: bool, stays_away: bool
) -> None:
    for at in range(1, MOST_COMMANDS):
        deploy(host.second, [host.target()], passes, NO_GUARD)
        shell = CutShell(host.shell, at, is_after=is_after, stays_away=stays_away)
        with contextlib.suppress(BuildExecutorError):
            roll_back(host.service, host.second.release.build_id, [host.target(shell)])
        roll_back_twice(host)
        host.assert_only(host.first)
        if shell.count < at:
            break
    assert FEWEST_COMMANDS < at < MOST_COMMANDS - 1


def test_a_lost_host_is_named_by_the_first_thing_that_went_wrong(host: Host) -> None:
    shell = CutShell(host.shell, 12, is_after=True, stays_away=True)

    with pytest.raises(
        DeploymentFailed, match=r"^production: deploy@fake: the connection was lost"
    ):
        deploy(host.second, [host.target(shell)], passes, NO_GUARD)
