from datetime import UTC, datetime
from pathlib import Path

import pytest

from build_executor.artifacts import CONTRACT, SPEC, ArtifactStore
from build_executor.comparison import Compatibility, compare_with_live, refuse_unseen
from build_executor.errors import ApprovalFailed, DeploymentFailed
from build_executor.spec.contract import Contract, Operation
from build_executor.targets.state import InstalledRelease, ServiceState
from tests.fakes.target import FakeTarget

SHOP = "shop"


def contract(*paths: str) -> Contract:
    operations = tuple(
        Operation(method="GET", path=path, spec_line=1, name=path[1:], rule="list")
        for path in paths
    )
    return Contract(service=SHOP, operations=operations)


def target(name: str, live: str | None) -> FakeTarget:
    """A target on which this release is live, brought by the build of the same name."""
    found = FakeTarget(name=name)
    if live is not None:
        release = InstalledRelease(
            id=live,
            build_id=f"build-{live}",
            digest="0" * 64,
            port=8350,
            deployed_at=datetime.now(UTC),
            url="http://127.0.0.1:8350",
        )
        found.states[SHOP] = ServiceState(service=SHOP, live=live, releases=(release,))
    return found


def store(folder: Path, live: str, kept: Contract, spec: str = "") -> ArtifactStore:
    artifacts = ArtifactStore(folder)
    artifacts.write_value(f"build-{live}", CONTRACT, kept)
    if spec:
        artifacts.write(f"build-{live}", SPEC, spec.encode())
    return artifacts


def test_the_contract_is_compared_with_the_one_that_is_live(tmp_path: Path) -> None:
    artifacts = store(tmp_path, "1", contract("/pets", "/toys"), "# Shop\nGET /pets\nGET /toys\n")

    found = compare_with_live(
        contract("/pets", "/food"),
        "# Shop\nGET /pets\nGET /food\n",
        [target("local", "1")],
        artifacts,
    )

    (comparison,) = found.comparisons
    assert (comparison.live_release, comparison.live_build) == ("1", "build-1")
    assert [(c.operation, c.breaking) for c in comparison.changes] == [
        ("GET /toys", True),
        ("GET /food", False),
    ]
    assert [change.operation for change in found.breaking] == ["GET /toys"]
    assert comparison.spec_diff[-2:] == ("-GET /toys", "+GET /food")


def test_targets_with_the_same_release_are_compared_together(tmp_path: Path) -> None:
    artifacts = store(tmp_path, "1", contract("/pets"))
    hosts = [target("production", "1"), target("production-2", "1"), target("local", None)]

    found = compare_with_live(contract(), "", hosts, artifacts)

    assert [one.targets for one in found.comparisons] == [
        ("production", "production-2"),
        ("local",),
    ]
    assert len(found.breaking) == 1


def test_a_first_release_is_compared_with_nothing(tmp_path: Path) -> None:
    found = compare_with_live(
        contract("/pets"), "", [target("local", None)], ArtifactStore(tmp_path)
    )

    assert [one.note for one in found.comparisons] == ["nothing is live"]
    assert found.breaking == ()


def test_a_live_release_whose_contract_was_not_kept_is_named(tmp_path: Path) -> None:
    found = compare_with_live(contract(), "", [target("local", "1")], ArtifactStore(tmp_path))

    (comparison,) = found.comparisons
    assert comparison.live_release == "1"
    assert "not kept" in comparison.note


def test_a_target_that_cannot_be_reached_is_no_reason_to_stop(tmp_path: Path) -> None:
    class Away(FakeTarget):
        def read(self, service: str) -> ServiceState:
            raise DeploymentFailed(f"{self.name} does not answer for {service}")

    found = compare_with_live(
        contract(), "", [Away(name="a"), Away(name="b")], ArtifactStore(tmp_path)
    )

    assert [(one.targets, one.note) for one in found.comparisons] == [
        (("a",), "nobody knows what is live: a does not answer for shop"),
        (("b",), "nobody knows what is live: b does not answer for shop"),
    ]


def test_a_long_difference_is_cut_and_a_longer_one_left_out(tmp_path: Path) -> None:
    artifacts = store(tmp_path, "1", contract(), "old\n" * 300)
    where = [target("local", "1")]

    (long,) = compare_with_live(contract(), "new\n" * 300, where, artifacts).comparisons
    (longer,) = compare_with_live(contract(), "new\n" * 6000, where, artifacts).comparisons

    assert len(long.spec_diff) == 201
    assert long.spec_diff[-1] == "... and 403 more lines"
    assert longer.spec_diff == ()


def test_an_approval_covers_what_was_shown_and_no_more(tmp_path: Path) -> None:
    where, seen = [target("local", "1")], contract("/pets", "/toys")
    shown = compare_with_live(contract(), "", where, store(tmp_path, "1", contract("/pets")))
    now = compare_with_live(contract(), "", where, store(tmp_path, "1", seen))

    refuse_unseen(shown, shown=now)
    with pytest.raises(ApprovalFailed, match="GET /toys: is no longer there"):
        refuse_unseen(now, shown=shown)


def test_nothing_was_compared_where_nothing_is_deployed() -> None:
    assert Compatibility().breaking == ()
