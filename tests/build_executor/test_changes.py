from pathlib import Path

from build_executor.artifacts import BUILD_RECORD, HEALTH_REPORT, ArtifactStore
from build_executor.changes import changed_specs
from build_executor.models import BuildRecord, BuildRequest, Owner
from build_executor.spec.source import read_source


def built(
    store: ArtifactStore, spec: Path, build_id: str, *, digest: str, healthy: bool = True
) -> None:
    record = BuildRecord(
        build_id=build_id,
        request=BuildRequest(spec_path=str(spec)),
        owner=Owner(host="here", boot_id="b", pid=1, start_ticks=0),
        service=spec.stem,
        spec_digest=digest,
    )
    store.write_value(build_id, BUILD_RECORD, record)
    if healthy:
        store.write(build_id, HEALTH_REPORT, b"{}")


def test_a_service_whose_spec_changed_is_named_with_its_last_request(tmp_path: Path) -> None:
    store, spec = ArtifactStore(tmp_path / "artifacts"), tmp_path / "shop.md"
    spec.write_text("# shop, changed")
    built(store, spec, "b1", digest="0" * 64)

    (change,) = changed_specs(store, [tmp_path])

    assert change.service == "shop"
    assert change.request.spec_path == str(spec)
    assert change.digest == read_source(str(spec), [tmp_path]).digest


def test_an_unchanged_or_unreadable_spec_is_left_alone(tmp_path: Path) -> None:
    store, spec = ArtifactStore(tmp_path / "artifacts"), tmp_path / "shop.md"
    spec.write_text("# shop")
    built(store, spec, "b1", digest=read_source(str(spec), [tmp_path]).digest)
    built(store, tmp_path / "gone.md", "b2", digest="0" * 64)

    assert changed_specs(store, [tmp_path]) == []


def test_only_builds_that_became_healthy_count(tmp_path: Path) -> None:
    store, spec = ArtifactStore(tmp_path / "artifacts"), tmp_path / "shop.md"
    spec.write_text("# shop, changed")
    built(store, spec, "b1", digest="0" * 64, healthy=False)

    assert changed_specs(store, [tmp_path]) == []


def test_there_is_nothing_to_rebuild_on_a_fresh_machine(tmp_path: Path) -> None:
    assert changed_specs(ArtifactStore(tmp_path / "artifacts"), [tmp_path]) == []
