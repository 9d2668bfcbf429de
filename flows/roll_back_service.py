"""The operator's way back: undo one build, whether it failed, was killed, or turned out wrong."""

from prefect import flow

from build_executor.models import RollbackReport
from build_executor.rollback import Cause
from tasks import wiring
from tasks.clean_up import clean_up
from tasks.roll_back import roll_back


@flow(name="roll-back-service", flow_run_name="roll back build {build_id}")
def roll_back_service(build_id: str, reason: str = "asked for by an operator") -> RollbackReport:
    """Put back what was live before this build; safe to run twice, and for a build never deployed.

    The report is also kept as the build's artifact `rollback.json`.
    """
    wiring.prepare_logs()
    report = roll_back(build_id, Cause(event="build_rolled_back", reason=reason))
    clean_up(build_id)
    return report
