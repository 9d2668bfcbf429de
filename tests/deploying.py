"""Deployments of a service called `shop` to targets in memory, and what must be true after them."""

from pathlib import Path

from build_executor.deployment import Gate, Rollout, deploy, prove
from build_executor.models import Check, Deployment, Release, VerifiedRelease
from tests.fakes.target import FakeTarget

SHOP = "shop"
PRIVATE, PUBLIC = "http://127.0.0.1/shop/2", "http://127.0.0.1:8350"
AT_ONCE = Rollout(guard_seconds=0)


def verified(release_id: str, build_id: str = "", port: int | None = 8350) -> VerifiedRelease:
    release = Release(
        id=release_id,
        build_id=build_id or f"build-{release_id}",
        service=SHOP,
        version="1.0.0",
        port=port,
        archive=Path("release.tar.gz"),
        digest="0" * 64,
        contract_file=Path("contract.json"),
        environment=Path("environment"),
    )
    return VerifiedRelease(release=release, checks=())


def passes(_: str) -> tuple[Check, ...]:
    return (Check(name="GET /health", passed=True),)


def fails(_: str) -> tuple[Check, ...]:
    return (Check(name="GET /shop", passed=False, detail="answered 500"),)


def bring(release_id: str, *targets: FakeTarget, gate: Gate = passes) -> tuple[Deployment, ...]:
    """Deploy this release to all of these."""
    return deploy(verified(release_id), targets, gate, AT_ONCE)


def live(*targets: FakeTarget, releases: tuple[str, ...] = ("1",)) -> None:
    """Deploy and prove these releases, one after the other."""
    for release_id in releases:
        prove(bring(release_id, *targets), targets)


def assert_only(release_id: str, *targets: FakeTarget) -> None:
    """This release has the traffic everywhere, nothing else runs, and no lock is held."""
    for target in targets:
        assert target.routes == {SHOP: release_id}
        assert target.offered == {}
        assert target.running == {(SHOP, release_id)}
        assert target.state_of(SHOP).live == release_id
        assert target.holders == {}


def assert_nothing(*targets: FakeTarget) -> None:
    """No trace is left anywhere."""
    for target in targets:
        assert target.routes == {}
        assert target.running == set()
        assert target.installed == set()
        assert target.state_of(SHOP).releases == ()
        assert target.holders == {}
