"""Which roll-backs have to be repeated: one that was killed, or that could not reach a host.

Pure. The longer it goes on, the longer is the wait, so that a host that is gone for good costs
little, and one that comes back is put right within the hour.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from api.runs import Run, StateType
from build_executor.models import RollbackReport

LONGEST_ROLL_BACK = timedelta(minutes=10)  # one that runs longer lost its process
_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=1)
_MOST_DOUBLINGS = 10
_BROKEN_OFF = frozenset({StateType.CRASHED, StateType.FAILED})


def build_of(roll_back: Run) -> str:
    """The build that a roll-back run undoes."""
    return str(roll_back.parameters.get("build_id", ""))


def is_due(
    roll_backs: Sequence[Run], report: RollbackReport | None, ended: datetime, now: datetime
) -> bool:
    """Whether a build that ended then is to be rolled back again.

    `roll_backs` are its roll-back runs, the newest first; `report` says what the last one did.
    """
    latest = roll_backs[0] if roll_backs else None
    if latest is not None and latest.state.is_under_way_since(now - LONGEST_ROLL_BACK):
        return False
    doublings = min(len(roll_backs), _MOST_DOUBLINGS)
    wait = min(_FIRST_WAIT * 2**doublings, _LONGEST_WAIT)
    since = latest.created if latest is not None else ended
    return _is_unfinished(latest, report) and now - since > wait


def _is_unfinished(latest: Run | None, report: RollbackReport | None) -> bool:
    if latest is not None and latest.state.type is not StateType.COMPLETED:
        return latest.state.type in _BROKEN_OFF or not latest.state.is_terminal
    return report is not None and report.rollback_status == "failed"
