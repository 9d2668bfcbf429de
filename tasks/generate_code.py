"""Phases 1 and 2: the generator writes, the gates judge; each attempt is a task run of its own."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from build_executor import frozen, generation
from build_executor.generators import Attempt
from build_executor.models import Finding, Workspace
from build_executor.phases import Phase
from build_executor.spec.contract import Contract
from build_executor.workspace import open_workspace
from tasks import wiring


@task(
    name=Phase.CODE_GENERATION,
    task_run_name="code_generation: attempt {attempt}",
    cache_policy=NO_CACHE,
    timeout_seconds=300,
)
def generate_code(
    build_id: str, contract: Contract, attempt: int, findings: tuple[Finding, ...]
) -> Workspace:
    """A workspace with the service's code; GenerationFailed with findings if a gate rejects it."""
    workspace = open_workspace(build_id, contract.service, wiring.settings())
    told = Attempt(number=attempt, findings=findings)
    return generation.generate_code(contract, workspace, wiring.generator(workspace), told)


@task(
    name=Phase.TEST_GENERATION,
    task_run_name="test_generation: tests",
    cache_policy=NO_CACHE,
    timeout_seconds=120,
    retries=1,
)
def generate_tests(contract: Contract, workspace: Workspace) -> Workspace:
    """The same workspace with the tests that follow from the contract, frozen from now on."""
    generator = wiring.generator(workspace)
    generation.generate_tests(contract, workspace, generator, Attempt(number=1))
    frozen.freeze(workspace)
    return workspace
