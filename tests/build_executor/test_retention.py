import os
import socket
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from build_executor import ownership
from build_executor.artifacts import BUILD_RECORD, ArtifactStore
from build_executor.errors import DeploymentFailed
from build_executor.models import BuildRecord, BuildRequest, Owner
from build_executor.retention import Pruned, prune
from build_executor.settings import Settings
from build_executor.targets.state import InstalledRelease, ServiceState
from tests.fakes.target import FakeTarget

NOW = datetime.now(UTC)
SHOP = "shop"
GONE = Owner(host=socket.gethostname(), boot_id="an earlier one", pid=1, start_ticks=0)
ELSEWHERE = GONE.model_copy(update={"host": "elsewhere"})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(build_executor_home=tmp_path, keep_builds=20, keep_days=30)


def aged(path: Path, days: float) -> Path:
    moment = (NOW - timedelta(days=days)).timestamp()
    os.utime(path, (moment, moment))
    return path


def built(settings: Settings, build_id: str, days: float, owner: Owner = GONE) -> None:
    """A build of so many days ago."""
    store = ArtifactStore(settings.artifacts)
    record = BuildRecord(
        build_id=build_id,
        request=BuildRequest(spec_path="SPEC.md"),
        owner=owner,
        service=SHOP,
        spec_digest=f"digest-{build_id}",
    )
    file = store.write_value(build_id, BUILD_RECORD, record)
    aged(file.parent, days)


def forgets_nothing(_needed: Collection[str], _before: datetime) -> int:
    return 0


def twenty_younger(settings: Settings) -> None:
    for number in range(20):
        built(settings, f"young-{number}", 3)


def host(*build_ids: str) -> FakeTarget:
    """A host with a release of each of these builds."""
    releases = tuple(
        InstalledRelease(id=f"1-{id_}", build_id=id_, digest="0" * 64, port=1, deployed_at=NOW)
        for id_ in build_ids
    )
    return FakeTarget(states={SHOP: ServiceState(service=SHOP, releases=releases)})


def proven(target: FakeTarget, live: str) -> None:
    """All releases of the host are proven, in their order."""
    state = target.states[SHOP]
    ids = tuple(release.id for release in state.releases)
    target.states[SHOP] = state.model_copy(update={"live": live, "proven": ids})


def remaining(settings: Settings) -> set[str]:
    builds = ArtifactStore(settings.artifacts).build_ids()
    return {build_id for build_id in builds if not build_id.startswith("young")}


def file(path: Path, days: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return aged(path, days)


def folder(path: Path, days: float) -> Path:
    file(path / "x", days)
    return aged(path, days)


# -- artifacts


def test_artifacts_of_old_builds_are_removed_beyond_those_to_keep(settings: Settings) -> None:
    twenty_younger(settings)
    built(settings, "old", 5)

    assert prune(settings, [host()], NOW, forgets_nothing).builds == ("old",)
    assert remaining(settings) == set()


def test_what_is_installed_anywhere_keeps_its_artifacts(settings: Settings) -> None:
    twenty_younger(settings)
    for build_id in ("live", "proven", "elsewhere", "nowhere"):
        built(settings, build_id, 300)

    prune(settings, [host("live", "proven"), host("elsewhere")], NOW, forgets_nothing)

    assert remaining(settings) == {"live", "proven", "elsewhere"}


def test_a_build_that_runs_or_is_young_keeps_its_artifacts(settings: Settings) -> None:
    twenty_younger(settings)
    built(settings, "waiting-for-weeks", 20, ownership.this_process())
    settings = settings.model_copy(update={"keep_builds": 0})
    built(settings, "yesterdays", 1)

    prune(settings, [], NOW, forgets_nothing)

    assert remaining(settings) == {"waiting-for-weeks", "yesterdays"}


def test_a_build_of_another_machine_is_over_when_nobody_can_wait_for_it_any_more(
    settings: Settings,
) -> None:
    twenty_younger(settings)
    settings = settings.model_copy(update={"approval_timeout_seconds": 86_400})
    built(settings, "may-wait", 3.9, ELSEWHERE)
    built(settings, "over", 4.1, ELSEWHERE)

    prune(settings, [], NOW, forgets_nothing)

    assert remaining(settings) == {"may-wait"}


def test_nothing_is_removed_that_a_host_may_need_that_does_not_answer(settings: Settings) -> None:
    class Lost(FakeTarget):
        def read(self, service: str) -> ServiceState:
            raise DeploymentFailed(f"{self.name} does not answer for {service}")

    twenty_younger(settings)
    built(settings, "old", 300)
    cached = folder(settings.cache / "environments" / "abc", 31)

    pruned = prune(settings, [host(), Lost()], NOW, forgets_nothing)

    assert pruned == Pruned(caches=("environments/abc",))
    assert remaining(settings) == {"old"}
    assert not cached.exists()


# -- releases and runs


def test_releases_beyond_those_to_keep_are_removed_and_their_artifacts_with_them(
    settings: Settings,
) -> None:
    twenty_younger(settings)
    for build_id in ("1", "2", "3"):
        built(settings, build_id, 300)
    shop = host("1", "2", "3")
    proven(shop, live="1-3")
    shop.keep_releases = 2

    pruned = prune(settings, [shop], NOW, forgets_nothing)

    assert (pruned.releases, pruned.builds) == (("1-1",), ("1",))
    assert [release.id for release in shop.state_of(SHOP).releases] == ["1-2", "1-3"]
    assert "archive 1-1" in shop.did


def test_a_host_that_is_being_deployed_to_is_left_alone(settings: Settings) -> None:
    built(settings, "3", 1)
    busy, idle = host("1", "2", "3"), host("1", "2", "3")
    for each in (busy, idle):
        proven(each, live="1-3")
        each.keep_releases = 2
    busy.holders[SHOP] = "another build"

    pruned = prune(settings, [busy, idle], NOW, forgets_nothing)

    assert pruned.releases == ("1-1",)
    assert len(busy.state_of(SHOP).releases) == 3


def test_runs_are_forgotten_but_those_of_what_is_installed(settings: Settings) -> None:
    asked: list[tuple[set[str], datetime]] = []

    def forget(needed: Collection[str], before: datetime) -> int:
        asked.append((set(needed), before))
        return 7

    built(settings, "b", 1)

    assert prune(settings, [host("a", "b")], NOW, forget).runs == 7
    assert asked == [({"a", "b"}, NOW - timedelta(days=90))]


# -- SPECs, caches, logs


def test_a_spec_that_no_build_refers_to_is_removed_when_none_can_wait_for_it(
    settings: Settings,
) -> None:
    built(settings, "b", 10)
    used, queued, unused = (
        file(settings.specs / f"{name}.md", days)
        for name, days in (("digest-b", 90), ("queued", 1), ("unused", 8))
    )

    assert prune(settings, [], NOW, forgets_nothing).specs == 1
    assert used.exists()
    assert queued.exists()
    assert not unused.exists()


def test_caches_are_removed_when_nobody_used_them_for_long(settings: Settings) -> None:
    fresh = folder(settings.cache / "environments" / "fresh", 29)
    half_made = folder(settings.cache / "environments" / ".draft.0a1b", 31)
    downloads = folder(settings.cache / "uv" / "wheels", 99)
    aged(downloads.parent, 31)
    note = file(settings.cache / "docker-bases" / "base.json", 99)

    pruned = prune(settings, [], NOW, forgets_nothing)

    assert pruned.caches == ("environments/.draft.0a1b", "uv")
    assert fresh.exists()
    assert note.exists()
    assert not half_made.exists()
    assert [entry.name for entry in settings.cache.iterdir()] != ["uv"]


def test_downloads_that_are_used_stay_whole(settings: Settings) -> None:
    downloads = folder(settings.cache / "uv" / "wheels", 99)
    aged(downloads.parent, 1)

    assert prune(settings, [], NOW, forgets_nothing).caches == ()
    assert downloads.exists()


def test_logs_outlive_their_releases_for_a_while(settings: Settings) -> None:
    built(settings, "b", 1)
    logs = settings.services / SHOP / "shared" / "logs"
    quiet = file(logs / "1-b.log", 300)
    recent, old = file(logs / "0-gone.log", 10), file(logs / "0-older.log", 31)

    pruned = prune(settings, [host("b")], NOW, forgets_nothing)

    assert str(pruned) == (
        "removed the artifacts of 0 builds, 0 SPECs, 0 caches, 1 logs, 0 releases, 0 runs"
    )
    assert quiet.exists()
    assert recent.exists()
    assert not old.exists()


def test_a_machine_that_never_built_has_nothing_to_remove(settings: Settings) -> None:
    assert prune(settings, [], NOW, forgets_nothing) == Pruned()
