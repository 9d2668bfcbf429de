from datetime import UTC, datetime
from pathlib import Path

from build_executor.artifacts import ArtifactStore
from build_executor.errors import DeploymentFailed
from build_executor.failed_releases import DeploymentFailure, keep_failure, keep_logs
from build_executor.models import Finding
from build_executor.targets.state import InstalledRelease, ServiceState
from tests.fakes.target import FakeTarget

SHOP, BUILD = "shop", "build-2"
FAILURE = DeploymentFailure(
    target="local",
    service=SHOP,
    release_id="2",
    message="2 does not honour its contract",
    findings=(Finding(gate="deployment", rule="GET /shop", message="answered 500"),),
)


def target(name: str = "local", *builds: str) -> FakeTarget:
    """A target on which each of these builds brought the release of its number."""
    ids = [build.removeprefix("build-") for build in builds]
    releases = tuple(
        InstalledRelease(
            id=id_, build_id=build, digest="0" * 64, port=8350, deployed_at=datetime.now(UTC)
        )
        for id_, build in zip(ids, builds, strict=True)
    )
    state = ServiceState(service=SHOP, releases=releases)
    return FakeTarget(name=name, states={SHOP: state}, installed={(SHOP, id_) for id_ in ids})


class Lost(FakeTarget):
    """A host that does not answer."""

    def read(self, service: str) -> ServiceState:
        raise DeploymentFailed(f"{self.name} does not answer for {service}")

    def log(self, service: str, release_id: str) -> str:
        raise DeploymentFailed(f"{self.name} does not answer for {service} {release_id}")


def test_the_reason_and_the_last_words_of_a_failed_release_are_kept(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)

    keep_failure(BUILD, FAILURE, [target("local", BUILD)], store)

    assert store.names(BUILD) == ["failure-local.json", "service-local.log"]
    assert store.read_value(BUILD, "failure-local.json", DeploymentFailure) == FAILURE
    assert store.path(BUILD, "service-local.log").read_text() == "2 was here"


def test_a_release_that_said_nothing_leaves_no_log(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)

    keep_failure(BUILD, FAILURE, [target()], store)

    assert store.names(BUILD) == ["failure-local.json"]


def test_only_the_releases_of_the_build_are_kept_before_it_is_undone(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    hosts = [target("local", "build-1", BUILD), target("production", "build-1")]

    keep_logs(BUILD, SHOP, hosts, store)

    assert store.names(BUILD) == ["service-local.log"]
    assert store.path(BUILD, "service-local.log").read_text() == "2 was here"


def test_a_lost_host_does_not_keep_anybody_from_going_back(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)

    keep_failure(BUILD, FAILURE, [Lost(name="away")], store)
    keep_logs(BUILD, SHOP, [Lost(name="away"), target("local", BUILD)], store)

    assert store.names(BUILD) == ["failure-local.json", "service-local.log"]
