"""Phase 7: the service says at its public address that it is active, and which release it is."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from build_executor import artifacts, health
from build_executor.models import Deployment, HealthReport
from build_executor.phases import Phase
from tasks import wiring


@task(
    name=Phase.HEALTH_CHECK,
    task_run_name="health_check: {deployment.target}",
    cache_policy=NO_CACHE,
    timeout_seconds=300,
)
def check_health(deployment: Deployment) -> HealthReport:
    """The health report; HealthCheckFailed after the second wait."""
    report = health.check_health(deployment)
    wiring.store().write_value(deployment.build_id, artifacts.HEALTH_REPORT, report)
    return report
