"""Phase 5: make a verified release live; whatever goes wrong, the previous one stays live."""

from prefect import State, Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun

from build_executor import artifacts, deployment
from build_executor.errors import DeployLocked, DeploymentFailed, InvalidSettings
from build_executor.models import Deployment, VerifiedRelease
from build_executor.phases import Phase
from build_executor.spec.contract import Contract
from tasks import wiring


def _worth_retrying(_: Task[..., object], __: TaskRun, state: State[object]) -> bool:
    """A release that was rejected for its answers will be rejected again; an accident may not."""
    try:
        state.result()
    except DeploymentFailed as error:
        return not error.findings
    return False


@task(
    name=Phase.DEPLOYMENT,
    task_run_name="deployment: {target}",
    cache_policy=NO_CACHE,
    timeout_seconds=600,
    retries=1,
    retry_delay_seconds=1,
    retry_condition_fn=_worth_retrying,
)
def deploy_release(verified: VerifiedRelease, contract: Contract, target: str) -> Deployment:
    """Make a verified release live; DeploymentFailed leaves the previous one live."""
    gate = wiring.gate(contract, verified.release.id)
    try:
        deployed = deployment.deploy(verified, wiring.target(target), gate)
    except (DeployLocked, InvalidSettings) as error:
        raise DeploymentFailed(str(error)) from error
    name = artifacts.deployment_artifact(target)
    wiring.store().write_value(verified.release.build_id, name, deployed)
    return deployed


@task(
    name=Phase.HEALTH_CHECK,
    task_run_name="health_check: prove {deployed.target}",
    cache_policy=NO_CACHE,
    timeout_seconds=60,
)
def prove_deployment(deployed: Deployment) -> None:
    """Remember the release as one that works: a roll-back goes to proven releases only."""
    deployment.prove(deployed, wiring.target(deployed.target))
