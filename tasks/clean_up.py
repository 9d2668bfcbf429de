"""After a build, however it ended: its source is kept, its workspace is gone, its cost is said."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from build_executor import artifacts, workspace
from build_executor.models import BuildRecord
from build_executor.spending import BuildCost
from tasks import wiring
from tasks.reports import publish_cost


@task(name="clean_up", task_run_name="clean_up", cache_policy=NO_CACHE, timeout_seconds=60)
def clean_up(build_id: str) -> None:
    """Keep what is worth keeping of the build's workspace, remove it, and say what it cost."""
    workspace.close_workspace(build_id, wiring.settings())
    store = wiring.store()
    cost = store.read_value(build_id, artifacts.COST, BuildCost)
    record = store.read_value(build_id, artifacts.BUILD_RECORD, BuildRecord)
    if cost is not None and record is not None and record.service is not None:
        publish_cost(record.service, cost)
