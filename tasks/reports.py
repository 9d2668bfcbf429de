"""What people are shown of a build in Prefect's UI."""

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from build_executor.artifacts import GENERATION_REPORT
from build_executor.comparison import Compatibility
from build_executor.generators.filling import Filling
from build_executor.models import Check, Deployment, HealthReport, VerifiedRelease
from build_executor.retention import Pruned
from build_executor.spec.contract import Contract
from build_executor.spending import BuildCost
from tasks import wiring
from tasks.evidence import (
    compatibility_evidence,
    contract_evidence,
    cost_evidence,
    generation_evidence,
)


@task(name="report: contract", task_run_name="report: contract", cache_policy=NO_CACHE)
def publish_contract(contract: Contract) -> None:
    """A page in Prefect's UI: what was derived from the SPEC, what was assumed, what is missing."""
    create_markdown_artifact(
        key=f"contract-{contract.service}",
        markdown=contract_evidence(contract),
        description=f"{contract.service} {contract.version}: what the SPEC demands",
    )


@task(name="report: generation", task_run_name="report: generation", cache_policy=NO_CACHE)
def publish_generation(build_id: str, contract: Contract) -> None:
    """A page in Prefect's UI: who wrote what no rule implements."""
    filling = wiring.store().read_value(build_id, GENERATION_REPORT, Filling)
    if filling is not None and (filling.holes or filling.written):
        create_markdown_artifact(
            key=f"generation-{contract.service}",
            markdown=generation_evidence(filling),
            description=f"{contract.service} {contract.version}: what became of its holes",
        )


@task(name="report: checks", task_run_name="report: checks", cache_policy=NO_CACHE)
def publish_checks(verified: VerifiedRelease) -> None:
    """A table in Prefect's UI: each check of the staged copy."""
    create_table_artifact(
        key=f"checks-{verified.release.service}",
        table=[_row(check) for check in verified.checks],
        description=f"{verified.release.service} {verified.release.id}: staged copy",
    )


@task(name="report: changes", task_run_name="report: changes", cache_policy=NO_CACHE)
def publish_changes(contract: Contract, compatibility: Compatibility) -> None:
    """A page in Prefect's UI: what callers of the live version will notice."""
    create_markdown_artifact(
        key=f"changes-{contract.service}",
        markdown=compatibility_evidence(compatibility) or "it is deployed nowhere",
        description=f"what callers of {contract.service} will notice of {contract.version}",
    )


@task(name="report: result", task_run_name="report: result", cache_policy=NO_CACHE)
def publish_result(deployment: Deployment, report: HealthReport) -> None:
    """A link in Prefect's UI: the running service."""
    create_link_artifact(
        key=f"service-{deployment.service}",
        link=deployment.url,
        link_text=f"{deployment.service} on {deployment.target}: {report.status}",
        description=f"release {deployment.release_id}, replaced {deployment.previous or 'nothing'}",
    )


def publish_cost(service: str, cost: BuildCost) -> None:
    """A page in Prefect's UI: what the language model cost, an attempt and in all."""
    create_markdown_artifact(
        key=f"cost-{service}",
        markdown=cost_evidence(cost),
        description=f"what the language model cost this build of {service}",
    )


def publish_pruned(pruned: Pruned) -> None:
    """A table in Prefect's UI: what the nightly run removed."""
    removed: dict[str, int | tuple[str, ...]] = {
        "artifacts of builds": pruned.builds,
        "releases": pruned.releases,
        "caches": pruned.caches,
        "SPECs": pruned.specs,
        "logs": pruned.logs,
        "runs in Prefect": pruned.runs,
    }
    create_table_artifact(
        key="pruned",
        table=[_removed(what, which) for what, which in removed.items()],
        description="what nobody needed any more",
    )


def _removed(what: str, which: int | tuple[str, ...]) -> dict[str, object]:
    if isinstance(which, int):
        return {"what": what, "removed": which, "which": ""}
    return {"what": what, "removed": len(which), "which": ", ".join(which)}


def _row(check: Check) -> dict[str, object]:
    return {
        "check": check.name,
        "passed": check.passed,
        "detail": check.detail,
        "ms": round(check.duration_ms, 1),
    }
