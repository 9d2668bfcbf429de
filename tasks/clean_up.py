"""After a build, however it ended: its source is kept as an artifact, its workspace is gone."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from build_executor import workspace
from tasks import wiring


@task(name="clean_up", task_run_name="clean_up", cache_policy=NO_CACHE, timeout_seconds=60)
def clean_up(build_id: str) -> None:
    """Keep what is worth keeping of the build's workspace, then remove it."""
    workspace.close_workspace(build_id, wiring.settings())
