"""What operators are shown of a deployment and of a roll-back in Prefect's UI.

Called with `return_state=True`: a page that cannot be written is no reason to fail either.
"""

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from build_executor import artifacts
from build_executor.comparison import Compatibility
from build_executor.deployment import Rollout
from build_executor.models import Deployment, RollbackReport
from tasks import wiring
from tasks.evidence import rollback_evidence


@task(name="report: deployment", task_run_name="report: deployment", cache_policy=NO_CACHE)
def publish_deployment(deployments: Sequence[Deployment], rollout: Rollout) -> None:
    """A table in Prefect's UI: a host a line, with what its users met while traffic moved."""
    first = deployments[0]
    found = wiring.store().read_value(first.build_id, artifacts.COMPATIBILITY, Compatibility)
    breaking = len(found.breaking) if found is not None else None
    create_table_artifact(
        key=f"deployment-{first.service}",
        table=[_row(one, rollout, breaking) for one in deployments],
        description=f"{first.service}: {first.release_id} is live",
    )


@task(name="report: roll-back", task_run_name="report: roll-back", cache_policy=NO_CACHE)
def publish_rollback(report: RollbackReport) -> None:
    """A page in Prefect's UI: what is live after a roll-back, and the proof of it."""
    if report.service is not None:
        create_markdown_artifact(
            key=f"roll-back-{report.service}",
            markdown=rollback_evidence(report),
            description=f"{report.service}: roll-back {report.rollback_status}",
        )


def _row(one: Deployment, rollout: Rollout, breaking: int | None) -> dict[str, object]:
    met = one.availability
    steps = ", ".join(f"{share} %" for share in rollout.canary_steps)
    return {
        "host": one.target,
        "before": one.previous or "nothing",
        "after": one.release_id,
        "url": one.url,
        "requests": met.requests if met else None,
        "failed": met.failed if met else None,
        "longest gap, ms": met.longest_gap_ms if met else None,
        "p99, ms": met.p99_ms if met else None,
        "canary": steps or "none",
        "guarded, s": rollout.guard_seconds,
        "breaking changes": breaking,
    }
