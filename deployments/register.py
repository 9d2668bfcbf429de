"""Tell Prefect what this product can run: two work pools and the deployments of prefect.yaml.

`python -m deployments.register`, with Prefect's own settings saying where Prefect is. Idempotent:
run it at every start and after every change of prefect.yaml.
"""

import sys

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectAlreadyExists
from prefect.workers.process import ProcessWorker

from build_executor import command
from build_executor.settings import inherited_environment
from deployments.pools import ROOT, WORK_POOLS

_DEPLOY_SECONDS = 120.0


def register() -> None:
    """Create or update the work pools and the deployments; CommandFailed says what Prefect said."""
    with get_client(sync_client=True) as client:
        for name, limit in WORK_POOLS.items():
            _ensure_work_pool(client, name, limit)
    command.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=ROOT,
        timeout=_DEPLOY_SECONDS,
        environment={
            **inherited_environment(),
            "BUILD_EXECUTOR_ROOT": str(ROOT),
            "BUILD_EXECUTOR_PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
        },
    )


def _ensure_work_pool(client: SyncPrefectClient, name: str, limit: int) -> None:
    template = ProcessWorker.get_default_base_job_template()
    pool = WorkPoolCreate(
        name=name, type="process", base_job_template=template, concurrency_limit=limit
    )
    try:
        client.create_work_pool(pool)
    except ObjectAlreadyExists:
        client.update_work_pool(name, WorkPoolUpdate(concurrency_limit=limit))


if __name__ == "__main__":
    register()
