from pathlib import Path

from build_executor.artifacts import CONTRACT, ArtifactStore
from build_executor.deployment import LiveService, Rollout, deploy, prove
from build_executor.errors import DeploymentFailed, RegistrationFailed
from build_executor.mesh.directory import Listing, ServiceDirectory
from build_executor.mesh.messages import BuildEvent
from build_executor.mesh.registry import Metadata
from build_executor.models import (
    BuildRecord,
    BuildRequest,
    Check,
    Deployment,
    Owner,
    Registration,
    Release,
    RollbackReport,
    VerifiedRelease,
)
from build_executor.rollback import Cause, Mesh, ask_contract, roll_back_build, tell_losses
from build_executor.spec.contract import Contract, Operation
from build_executor.targets.state import ServiceState
from tests.fakes.target import FakeTarget

SHOP = "shop"
CAUSE = Cause(phase="health_check", reason="no answer")


def record(release_id: str, service: str | None = SHOP) -> BuildRecord:
    return BuildRecord(
        build_id=f"build-{release_id}",
        request=BuildRequest(spec_path="SPEC.md"),
        owner=Owner(host="here", boot_id="b", pid=1, start_ticks=0),
        service=service,
    )


def live(target: FakeTarget, release_id: str) -> Deployment:
    release = Release(
        id=release_id,
        build_id=f"build-{release_id}",
        service=SHOP,
        version="1.0.0",
        port=8350,
        archive=Path("release.tar.gz"),
        digest="0" * 64,
        contract_file=Path("contract.json"),
        environment=Path("environment"),
    )
    passed = (Check(name="GET /health", passed=True),)
    verified = VerifiedRelease(release=release, checks=())
    deployed = deploy(verified, [target], lambda _: passed, Rollout(guard_seconds=0))
    prove(deployed, [target])
    return deployed[0]


def mesh(tmp_path: Path, told: list[BuildEvent]) -> Mesh:
    return Mesh(registry=ServiceDirectory(tmp_path / "directory.json"), notify=told.append)


def registered(mesh: Mesh, deployed: Deployment) -> Registration:
    return mesh.registry.register(SHOP, deployed.url, "1.0.0", {})


def test_the_previous_release_is_live_again_and_sovereign_factory_is_told(tmp_path: Path) -> None:
    target, told = FakeTarget(), list[BuildEvent]()
    live(target, "1")
    entry = registered(mesh(tmp_path, told), live(target, "2"))

    report = roll_back_build(record("2"), entry, [[target]], mesh(tmp_path, told), CAUSE)

    assert report.rollback_status == "success"
    assert target.routes == {SHOP: "1"}
    assert told == [
        BuildEvent(
            build_id="build-2",
            service_name=SHOP,
            phase="health_check",
            error="no answer",
            rollback_status="success",
        )
    ]
    assert mesh(tmp_path, told).registry.find(SHOP) is not None


def test_the_registry_names_the_address_in_production_if_there_is_one(tmp_path: Path) -> None:
    class Production(FakeTarget):
        def switch(self, service: str, release_id: str, port: int) -> str:
            return f"{super().switch(service, release_id, port)}/production"

        def answering(self, url: str) -> str | None:
            return super().answering(url.removesuffix("/production"))

    local, production = FakeTarget(), Production(name="production")
    for release_id in ("1", "2"):
        live(local, release_id)
        deployed = live(production, release_id)
    entry = registered(mesh(tmp_path, []), deployed)

    roll_back_build(record("2"), entry, [[local], [production]], mesh(tmp_path, []), CAUSE)

    found = mesh(tmp_path, []).registry.find(SHOP)
    assert found is not None
    assert found.endpoint.endswith("/production")


def test_a_first_build_is_undone_and_its_registration_withdrawn(tmp_path: Path) -> None:
    target = FakeTarget()
    entry = registered(mesh(tmp_path, []), live(target, "1"))
    target.states[SHOP] = target.states[SHOP].model_copy(update={"proven": ()})

    report = roll_back_build(record("1"), entry, [[target]], mesh(tmp_path, []), CAUSE)

    assert report.rollback_status == "success"
    assert report.service_health == "absent"
    assert mesh(tmp_path, []).registry.find(SHOP) is None


def test_what_somebody_else_registered_stays(tmp_path: Path) -> None:
    registry = mesh(tmp_path, []).registry
    registry.register(SHOP, "http://127.0.0.1:1", "1.0.0", {})

    roll_back_build(record("1"), None, [[FakeTarget()]], mesh(tmp_path, []), CAUSE)

    assert registry.find(SHOP) is not None


def test_a_build_that_never_read_its_spec_has_nothing_to_undo(tmp_path: Path) -> None:
    told = list[BuildEvent]()

    report = roll_back_build(record("1", None), None, [[FakeTarget()]], mesh(tmp_path, told), CAUSE)

    assert report.rollback_status == "not_needed"
    assert told == []


def test_a_build_that_no_host_knows_has_nothing_to_undo(tmp_path: Path) -> None:
    report = roll_back_build(record("1"), None, [[]], mesh(tmp_path, []), CAUSE)

    assert report.rollback_status == "not_needed"


def test_the_report_of_the_worst_target_counts(tmp_path: Path) -> None:
    good, locked = FakeTarget(name="good"), FakeTarget(name="locked", holders={SHOP: "build-9"})
    live(good, "1")
    live(good, "2")

    report = roll_back_build(record("2"), None, [[good], [locked]], mesh(tmp_path, []), CAUSE)

    assert report.rollback_status == "failed"
    assert report.detail == "locked: shop is being deployed by build build-9"


class SilentRegistry(ServiceDirectory):
    def note_rollback(self, name: str, endpoint: str, restored: Metadata) -> None:
        raise RegistrationFailed(f"the registry does not answer: {name} {endpoint} {restored}")


def test_a_registry_that_is_down_does_not_stop_the_roll_back(tmp_path: Path) -> None:
    target = FakeTarget()
    live(target, "1")
    live(target, "2")
    down = Mesh(registry=SilentRegistry(tmp_path / "directory.json"), notify=lambda _: None)

    report = roll_back_build(record("2"), None, [[target]], down, CAUSE)

    assert report.rollback_status == "success"
    assert "the registry does not answer" in report.detail


def test_the_registry_follows_what_was_restored_though_another_host_is_lost(
    tmp_path: Path,
) -> None:
    local, lost = FakeTarget(name="local"), LostAfterwards(name="production")
    live(local, "1")
    entry = registered(mesh(tmp_path, []), live(local, "2"))
    lost.is_lost = True

    report = roll_back_build(record("2"), entry, [[local], [lost]], mesh(tmp_path, []), CAUSE)

    listing = Listing.model_validate_json((tmp_path / "directory.json").read_bytes())
    assert report.rollback_status == "success"
    assert listing.droplets[SHOP].metadata["release_id"] == "1"


def test_a_host_that_is_lost_meanwhile_is_told_and_nothing_is_registered(tmp_path: Path) -> None:
    target = LostAfterwards()
    live(target, "1")
    entry = registered(mesh(tmp_path, []), live(target, "2"))
    target.is_lost = True

    report = roll_back_build(record("2"), entry, [[target]], mesh(tmp_path, []), CAUSE)

    assert "fake does not answer" in report.detail
    assert mesh(tmp_path, []).registry.find(SHOP) is not None


class LostAfterwards(FakeTarget):
    """It loses its connection when the last lock is given back."""

    is_lost = False

    def read(self, service: str) -> ServiceState:
        if self.is_lost and not self.holders:
            raise DeploymentFailed(f"{self.name} does not answer")
        return super().read(service)


# -- asking the contract again


def restored(target: FakeTarget, tmp_path: Path) -> RollbackReport:
    live(target, "1")
    live(target, "2")
    return roll_back_build(record("2"), None, [[target]], mesh(tmp_path, []), CAUSE)


def checks(*, passed: bool) -> tuple[Check, ...]:
    return (Check(name="GET /shop", passed=passed), Check(name="GET /health", passed=True))


def test_the_contract_of_what_was_restored_is_asked_again(tmp_path: Path) -> None:
    target, asked = FakeTarget(), list[LiveService]()

    def ask(found: LiveService) -> tuple[Check, ...]:
        asked.append(found)
        return checks(passed=True)

    report = ask_contract(restored(target, tmp_path), [target], ask)

    assert [(one.release_id, one.build_id) for one in asked] == [("1", "build-1")]
    assert report.service_health == "active"
    assert report.proof is not None
    assert report.proof.checks == checks(passed=True)
    assert report.proof.good_answers > 0


def test_a_contract_that_is_broken_after_a_roll_back_is_told_loudly(tmp_path: Path) -> None:
    target = FakeTarget()

    report = ask_contract(restored(target, tmp_path), [target], lambda _: checks(passed=False))

    assert report.service_health == "error"
    assert report.detail.endswith("; 1 of 2 checks fail: GET /shop")


def test_a_contract_that_was_not_kept_is_said_not_to_be_asked(tmp_path: Path) -> None:
    target = FakeTarget()

    report = ask_contract(restored(target, tmp_path), [target], lambda _: None)

    assert report.service_health == "active"
    assert report.detail.endswith("its contract was not kept and not asked again")


def test_nothing_is_asked_where_nothing_is_live(tmp_path: Path) -> None:
    report = roll_back_build(record("1"), None, [[FakeTarget()]], mesh(tmp_path, []), CAUSE)

    assert ask_contract(report, [FakeTarget()], lambda _: checks(passed=False)) == report


# -- what callers lose


def offering(*paths: str) -> Contract:
    operations = tuple(
        Operation(method="GET", path=path, spec_line=1, name=path[1:], rule="list")
        for path in paths
    )
    return Contract(service=SHOP, operations=operations)


def test_what_callers_of_the_undone_version_lose_is_told(tmp_path: Path) -> None:
    target, store = FakeTarget(), ArtifactStore(tmp_path / "artifacts")
    report = restored(target, tmp_path)
    store.write_value("build-1", CONTRACT, offering("/pets"))
    store.write_value("build-2", CONTRACT, offering("/pets", "/toys"))

    told = tell_losses(report, "build-2", [target], store)

    assert told.lost == ("GET /toys: is no longer there (was line 1)",)


def test_nothing_is_said_of_contracts_that_were_not_kept(tmp_path: Path) -> None:
    target, store = FakeTarget(), ArtifactStore(tmp_path / "artifacts")
    report = restored(target, tmp_path)

    assert tell_losses(report, "build-2", [target], store) == report


def test_nobody_loses_anything_where_nothing_was_undone(tmp_path: Path) -> None:
    target, store = FakeTarget(), ArtifactStore(tmp_path / "artifacts")
    report = roll_back_build(record("1"), None, [[target]], mesh(tmp_path, []), CAUSE)

    assert tell_losses(report, "build-1", [target], store) == report


def test_a_host_that_gets_lost_after_the_roll_back_does_not_undo_its_report(tmp_path: Path) -> None:
    target = LostAfterwards()
    report = restored(target, tmp_path)
    target.is_lost = True

    asked = ask_contract(report, [target], lambda _: checks(passed=True))

    assert asked.rollback_status == "success"
    assert "not asked again" in asked.detail
