"""Phase 5: make a verified release live; whatever goes wrong, the previous one stays live."""

from collections.abc import Sequence

from prefect import State, Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun

from build_executor import artifacts, deployment
from build_executor.errors import DeployLocked, DeploymentFailed, InvalidSettings
from build_executor.failed_releases import DeploymentFailure, keep_failure
from build_executor.models import Deployment, Release, VerifiedRelease
from build_executor.phases import Phase
from build_executor.spec.contract import Contract
from build_executor.targets import Target
from tasks import wiring
from tasks.operations import publish_deployment


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
    timeout_seconds=3600,  # with the longest guard and canary that the settings allow
    retries=1,
    retry_delay_seconds=1,
    retry_condition_fn=_worth_retrying,
)
def deploy_release(
    verified: VerifiedRelease, contract: Contract, target: str
) -> tuple[Deployment, ...]:
    """Make a verified release live on all hosts of a target, and guard it for a while.

    DeploymentFailed leaves the previous one live on all of them.
    """
    gate, rollout = wiring.gate(contract, verified.release.id), wiring.rollout()
    hosts: Sequence[Target] = ()
    try:
        hosts = wiring.targets(target)
        deployed = deployment.deploy(verified, hosts, gate, rollout)
    except (DeployLocked, InvalidSettings) as error:
        raise DeploymentFailed(str(error)) from error
    except DeploymentFailed as error:
        _keep(error, verified.release, target, hosts)
        raise
    for one in deployed:
        name = artifacts.deployment_artifact(one.target)
        wiring.store().write_value(one.build_id, name, one)
    publish_deployment(deployed, rollout, return_state=True)
    return deployed


def _keep(error: DeploymentFailed, release: Release, target: str, hosts: Sequence[Target]) -> None:
    failure = DeploymentFailure(
        target=target,
        service=release.service,
        release_id=release.id,
        message=error.message,
        findings=error.findings,
    )
    keep_failure(release.build_id, failure, hosts, wiring.store())


@task(
    name=Phase.HEALTH_CHECK,
    task_run_name="health_check: prove {target}",
    cache_policy=NO_CACHE,
    timeout_seconds=60,
)
def prove_deployments(deployed: tuple[Deployment, ...], target: str) -> None:
    """Remember the release as one that works: a roll-back goes to proven releases only."""
    deployment.prove(deployed, wiring.targets(target))
