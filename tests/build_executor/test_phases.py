import pytest

from build_executor.phases import ApprovalMode, Checkpoint, Phase, needs_approval

AFTER, BEFORE = Checkpoint.AFTER_GENERATION, Checkpoint.BEFORE_DEPLOYMENT
BREAKING, EDITS = Checkpoint.BREAKING_CHANGE, Checkpoint.HAND_EDITS


@pytest.mark.parametrize(
    ("mode", "checkpoints"),
    [
        (ApprovalMode.AUTO, [EDITS, BREAKING]),
        (ApprovalMode.FINAL, [EDITS, BEFORE]),
        (ApprovalMode.CHECKPOINTS, [EDITS, AFTER, BEFORE]),
    ],
)
def test_the_mode_decides_where_a_build_waits(
    mode: ApprovalMode, checkpoints: list[Checkpoint]
) -> None:
    assert [c for c in Checkpoint if needs_approval(mode, c)] == checkpoints


def test_the_phases_are_the_product_specifications_in_its_order() -> None:
    assert list(Phase) == [
        "queued",
        "code_generation",
        "test_generation",
        "build",
        "verification",
        "deployment",
        "registration",
        "health_check",
    ]
