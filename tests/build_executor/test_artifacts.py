import os
from pathlib import Path

import pytest

from build_executor.artifacts import ArtifactStore, deployment_artifact
from build_executor.models import Check


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def test_a_value_is_kept_and_read_back(store: ArtifactStore) -> None:
    check = Check(name="GET /health", passed=True)

    store.write_value("b1", "check.json", check)

    assert store.read_value("b1", "check.json", Check) == check


@pytest.mark.parametrize("content", [b"{", b'{"name": 1}'])
def test_what_is_no_such_value_counts_as_absent(store: ArtifactStore, content: bytes) -> None:
    store.write("b1", "check.json", content)

    assert store.read_value("b1", "check.json", Check) is None
    assert store.read_value("b2", "check.json", Check) is None


@pytest.mark.parametrize(
    ("build_id", "name"),
    [("..", "x"), ("b1", ".."), ("b1", "../x"), ("b1", ".hidden"), ("", "x"), ("b1", "a/b")],
)
def test_a_name_that_is_a_path_is_refused(store: ArtifactStore, build_id: str, name: str) -> None:
    with pytest.raises(ValueError, match="not an artifact's name"):
        store.write(build_id, name, b"")


def test_a_builds_artifacts_are_listed_by_name(store: ArtifactStore, tmp_path: Path) -> None:
    for name in ("b.log", "a.json"):
        store.write("b1", name, b"")
    (tmp_path / "artifacts" / "b1" / ".a.json.1f").touch()

    assert store.names("b1") == ["a.json", "b.log"]
    assert store.names("b2") == []


def test_builds_are_listed_newest_first(store: ArtifactStore, tmp_path: Path) -> None:
    assert store.build_ids() == []
    for age, build_id in enumerate(("new", "old")):
        store.write(build_id, "build.json", b"")
        os.utime(tmp_path / "artifacts" / build_id, (1000 - age, 1000 - age))

    assert store.build_ids() == ["new", "old"]


def test_each_target_has_its_own_deployment() -> None:
    assert deployment_artifact("local") == "deployment-local.json"
