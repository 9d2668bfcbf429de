"""Phase 6: the registry lists what is live, read back to be sure."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from build_executor import artifacts, registration
from build_executor.models import Deployment, Registration
from build_executor.phases import Phase
from build_executor.spec.contract import Contract
from tasks import wiring


@task(
    name=Phase.REGISTRATION,
    task_run_name="registration: {deployment.target}",
    cache_policy=NO_CACHE,
    timeout_seconds=120,
)
def register_deployment(deployment: Deployment, contract: Contract) -> Registration:
    """What the registry now says of the service; RegistrationFailed if it says something else."""
    registered = registration.register(deployment, contract, wiring.registry())
    wiring.store().write_value(deployment.build_id, artifacts.REGISTRATION, registered)
    return registered
