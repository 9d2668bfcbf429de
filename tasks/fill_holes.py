"""Phase 1, between contract and code: what no rule implements is written by a model or by hand."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from build_executor import artifacts, frozen, generation
from build_executor.errors import GenerationFailed
from build_executor.generators.claude import earlier_work, loop
from build_executor.generators.claude.repair import repair
from build_executor.generators.filling import Filling, keep_filling, read_filling
from build_executor.hand_edits import Conflict
from build_executor.models import Finding, Workspace
from build_executor.phases import Phase
from build_executor.spec.contract import Contract
from tasks import wiring


@task(
    name=Phase.CODE_GENERATION,
    task_run_name="code_generation: holes",
    cache_policy=NO_CACHE,
    timeout_seconds=300,
)
def find_holes(build_id: str, contract: Contract) -> tuple[Conflict, ...]:
    """Take over earlier work; the edits of a person that no longer fit are returned, not taken."""
    order = wiring.order(build_id, contract)
    filling, conflicts = earlier_work.begin(order)
    keep_filling(order.workspace, filling)
    if conflicts:
        text = "\n".join(conflict.diff for conflict in conflicts)
        wiring.store().write(build_id, artifacts.HAND_EDITS, text.encode())
    return conflicts


@task(
    name=Phase.CODE_GENERATION,
    task_run_name="code_generation: holes, attempt {attempt}",
    cache_policy=NO_CACHE,
    timeout_seconds=1800,
)
def fill_holes(build_id: str, contract: Contract, attempt: int) -> Filling:
    """One attempt of the model; GenerationFailed where nothing confines what it writes."""
    order = wiring.order(build_id, contract)
    filling = loop.attempt(order, _filling(order.workspace), wiring.model(build_id), attempt)
    keep_filling(order.workspace, filling)
    return filling


@task(
    name=Phase.CODE_GENERATION,
    task_run_name="code_generation: outcome",
    cache_policy=NO_CACHE,
    timeout_seconds=600,
)
def settle_contract(build_id: str, contract: Contract) -> Contract:
    """The contract that the service is held to: what is written is demanded from now on."""
    order = wiring.order(build_id, contract)
    filling = loop.finish(order, _filling(order.workspace))
    keep_filling(order.workspace, filling)
    return _kept(build_id, filling, filling.settled(contract))


@task(
    name=Phase.CODE_GENERATION,
    task_run_name="code_generation: repair {attempt}",
    cache_policy=NO_CACHE,
    timeout_seconds=1800,
)
def repair_functions(
    build_id: str, contract: Contract, findings: tuple[Finding, ...], attempt: int
) -> Contract | None:
    """The contract after the model's functions were repaired or dropped; None: they are not it."""
    order = wiring.order(build_id, contract)
    model = wiring.model(build_id) if attempt == 1 and wiring.has_model() else None
    filling = repair(order, _filling(order.workspace), findings, model)
    if filling is None:
        return None
    keep_filling(order.workspace, filling)
    settled = filling.settled(contract)
    generation.put_in_place(settled, order.workspace, wiring.generator(order.workspace))
    frozen.freeze(order.workspace)
    return _kept(build_id, filling, settled)


@task(name="keep_source", task_run_name="keep_source", cache_policy=NO_CACHE, timeout_seconds=120)
def keep_source(build_id: str, contract: Contract) -> None:
    """Leave a completed build's functions where people edit them, for the next build."""
    order = wiring.order(build_id, contract)
    earlier_work.keep(order, _filling(order.workspace))


def is_open(build_id: str, contract: Contract) -> bool:
    """Whether there is a hole, and a model to ask."""
    filling = read_filling(wiring.order(build_id, contract).workspace)
    return wiring.has_model() and filling is not None and filling.ended is None


def _kept(build_id: str, filling: Filling, settled: Contract) -> Contract:
    wiring.store().write_value(build_id, artifacts.GENERATION_REPORT, filling)
    wiring.store().write_value(build_id, artifacts.CONTRACT, settled)
    return settled


def _filling(workspace: Workspace) -> Filling:
    filling = read_filling(workspace)
    if filling is None:
        raise GenerationFailed("the account of what was generated is gone")
    return filling
