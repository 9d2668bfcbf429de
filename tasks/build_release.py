"""Phase 3: install, lint, test, pack; and the mechanical repair between two tries."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from build_executor import building, frozen
from build_executor.models import Finding, Release, Workspace
from build_executor.phases import Phase
from build_executor.spec.contract import Contract
from tasks import wiring


@task(
    name=Phase.BUILD,
    task_run_name="build: attempt {attempt}",
    cache_policy=NO_CACHE,
    timeout_seconds=300,
)
def build_release(workspace: Workspace, contract: Contract, attempt: int) -> Release:  # noqa: ARG001 - names the task run
    """A release that passed its own tests; BuildFailed with findings otherwise."""
    frozen.restore_frozen(workspace)
    sandbox = wiring.sandbox(workspace)
    release = building.build_release(workspace, contract, sandbox, wiring.settings())
    return release.model_copy(update={"confined": not wiring.generator(workspace).trusted})


@task(
    name=Phase.BUILD,
    task_run_name="build: fix {attempt}",
    cache_policy=NO_CACHE,
    timeout_seconds=120,
)
def fix_build(
    workspace: Workspace,
    findings: tuple[Finding, ...],
    attempt: int,  # noqa: ARG001 - names the task run
) -> bool:
    """Whether anything could be repaired, so that another try makes sense."""
    return building.fix_build(workspace, findings, wiring.settings())
