"""Where a build waits for a person, and what the person answers.

The wait is Prefect's own pause with a typed input, so the answer may come from Prefect's UI or
from the adapter. Each checkpoint has a key of its own: Prefect reuses the answer of a used key.
"""

from prefect import pause_flow_run
from prefect.exceptions import FlowPauseTimeout
from prefect.input import RunInput

from build_executor.errors import ApprovalFailed
from build_executor.events import Event, EventType, emit
from build_executor.phases import ApprovalMode, Checkpoint, needs_approval

_POLL_SECONDS = 1


class Approval(RunInput):
    """The typed answer: whether to go on, and why."""

    approved: bool
    notes: str = ""


def checkpoint(place: Checkpoint, mode: ApprovalMode, *, timeout: int, evidence: str) -> bool:
    """Whether the mode waits here, once an answer approves; ApprovalFailed if it does not.

    `evidence` is Markdown that the person deciding is shown. `timeout` is in seconds.
    """
    if not needs_approval(mode, place):
        return False
    emit(Event(event_type=EventType.APPROVAL_REQUIRED, phase=place))
    approval = _ask(place, timeout, evidence)
    verdict = "approved" if approval.approved else "rejected"
    notes = f": {approval.notes}" if approval.notes else ""
    emit(Event(event_type=EventType.APPROVAL_RECORDED, phase=place, message=f"{verdict}{notes}"))
    if not approval.approved:
        raise ApprovalFailed(f"rejected at the checkpoint {place}{notes}")
    return True


def _ask(place: Checkpoint, timeout: int, evidence: str) -> Approval:
    try:
        return pause_flow_run(
            wait_for_input=Approval.with_initial_data(description=evidence),
            timeout=timeout,
            poll_interval=_POLL_SECONDS,
            key=place.value.replace("_", "-"),  # Prefect refuses underscores
        )
    except FlowPauseTimeout as error:
        waited = f"nobody answered at the checkpoint {place} within {timeout} s"
        raise ApprovalFailed(waited) from error
