from datetime import UTC, datetime

from build_executor.targets.state import InstalledRelease, ServiceState


def installed(release_id: str, replaced: str | None = None) -> InstalledRelease:
    return InstalledRelease(
        id=release_id,
        build_id=f"build-{release_id}",
        digest="0" * 64,
        port=8350,
        deployed_at=datetime(2026, 1, 1, tzinfo=UTC),
        replaced=replaced,
    )


def test_what_the_live_release_replaced_is_kept_however_old_it_is() -> None:
    state = ServiceState(
        service="shop",
        live="4",
        proven=("1", "2", "3", "4"),
        releases=(installed("1"), installed("2"), installed("3"), installed("4", replaced="1")),
    )

    assert [release.id for release in state.prunable(2)] == ["2"]


def test_a_forerunner_that_nobody_proved_is_not_kept() -> None:
    state = ServiceState(
        service="shop",
        live="2",
        proven=("2",),
        releases=(installed("1"), installed("2", replaced="1")),
    )

    assert [release.id for release in state.prunable(2)] == ["1"]
