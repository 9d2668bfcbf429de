"""The words of the product's specification that every other module speaks.

They are closed sets, so a typo is a type error and a new word is one change.
"""

from enum import StrEnum


class Phase(StrEnum):
    """One of the eight phases of a build, in the order in which they happen."""

    QUEUED = "queued"
    CODE_GENERATION = "code_generation"
    TEST_GENERATION = "test_generation"
    BUILD = "build"
    VERIFICATION = "verification"
    DEPLOYMENT = "deployment"
    REGISTRATION = "registration"
    HEALTH_CHECK = "health_check"


class PhaseState(StrEnum):
    """What a build's status says of one phase."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


class BuildStatus(StrEnum):
    """What a build's status says of the whole build."""

    QUEUED = "queued"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ErrorState(StrEnum):
    """Why a build failed. The last two are additions to the product's specification (ADR 0002)."""

    CODE_GENERATION = "failed_code_generation"
    BUILD = "failed_build"
    VERIFICATION = "failed_verification"
    DEPLOYMENT = "failed_deployment"
    HEALTH_CHECK = "failed_health_check"
    REGISTRATION = "failed_registration"
    APPROVAL = "failed_approval"


class ApprovalMode(StrEnum):
    """Where a build waits for a person; `auto` only where callers of the service may break."""

    AUTO = "auto"
    CHECKPOINTS = "checkpoints"
    FINAL = "final"


class Checkpoint(StrEnum):
    """A place where a build may wait for an approval."""

    HAND_EDITS = "hand_edits"
    AFTER_GENERATION = "after_generation"
    BEFORE_DEPLOYMENT = "before_deployment"
    BREAKING_CHANGE = "breaking_change"


_WAITS_AT: dict[ApprovalMode, frozenset[Checkpoint]] = {
    # Reached only with a breaking change; the other modes show it before the deployment.
    # HAND_EDITS is reached only where a person's edit does not fit any more, in every mode.
    ApprovalMode.AUTO: frozenset({Checkpoint.HAND_EDITS, Checkpoint.BREAKING_CHANGE}),
    ApprovalMode.FINAL: frozenset({Checkpoint.HAND_EDITS, Checkpoint.BEFORE_DEPLOYMENT}),
    ApprovalMode.CHECKPOINTS: frozenset(
        {Checkpoint.HAND_EDITS, Checkpoint.AFTER_GENERATION, Checkpoint.BEFORE_DEPLOYMENT}
    ),
}


def needs_approval(mode: ApprovalMode, checkpoint: Checkpoint) -> bool:
    """Whether a build in this mode waits at this checkpoint."""
    return checkpoint in _WAITS_AT[mode]
