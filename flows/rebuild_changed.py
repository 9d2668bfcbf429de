"""Scheduled rebuilds: what is live follows its SPEC."""

from typing import TYPE_CHECKING, cast

from prefect import flow, get_run_logger
from prefect.deployments import run_deployment

from build_executor.changes import ChangedSpec, changed_specs
from tasks import wiring

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

BUILD_DEPLOYMENT = "build-service/local"


@flow(name="rebuild-changed")
def rebuild_changed() -> list[str]:
    """Submit a build of each service whose SPEC changed since its newest one; their build ids."""
    wiring.prepare_logs()
    changed = changed_specs(wiring.store(), wiring.settings().spec_roots)
    for spec in changed:
        get_run_logger().info("%s changed: %s", spec.service, spec.request.spec_path)
    return [_submit(spec) for spec in changed]


def _submit(spec: ChangedSpec) -> str:
    submitted = run_deployment(
        BUILD_DEPLOYMENT,
        parameters={"request": spec.request.model_dump(mode="json")},
        tags=[f"service:{spec.service}"],
        idempotency_key=f"rebuild:{spec.service}:{spec.digest}",
        timeout=0,
        as_subflow=False,
    )
    return str(cast("FlowRun", submitted).id)  # a coroutine is for callers that run a loop
