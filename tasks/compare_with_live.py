"""Before phase 5: what the new version changes for those who use the one that is live."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from build_executor import artifacts, comparison
from build_executor.comparison import Compatibility
from build_executor.spec.contract import Contract
from tasks import wiring


@task(
    name="compatibility", task_run_name="compatibility", cache_policy=NO_CACHE, timeout_seconds=120
)
def compare_with_live(build_id: str, contract: Contract, names: list[str]) -> Compatibility:
    """The comparison with what is live on the targets of these names, kept as an artifact."""
    store = wiring.store()
    spec = store.path(build_id, artifacts.SPEC).read_text(encoding="utf-8")
    targets = [target for name in names for target in wiring.configured_hosts(name)]
    found = comparison.compare_with_live(contract, spec, targets, store)
    store.write_value(build_id, artifacts.COMPATIBILITY, found)
    return found
