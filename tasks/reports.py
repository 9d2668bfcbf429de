"""What people are shown: the evidence for an approval, and a build's result in Prefect's UI."""

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from build_executor.models import Check, Deployment, HealthReport, VerifiedRelease
from build_executor.spec.contract import Contract


def contract_evidence(contract: Contract) -> str:
    """Markdown for the approval after generation: what was derived, and what is missing."""
    rows = [
        f"| {operation.label} | {operation.rule} | {operation.spec_line} |"
        for operation in contract.operations
    ]
    notes = [f"- gap, {note}" for note in contract.gaps]
    notes += [f"- assumed, {note}" for note in contract.assumptions]
    head = f"**{contract.service} {contract.version}**, contract {contract.digest[:12]}"
    table = "\n".join(["| operation | rule | SPEC line |", "|---|---|---|", *rows])
    return "\n\n".join(part for part in (head, table, "\n".join(notes)) if part)


def release_evidence(verified: VerifiedRelease) -> str:
    """Markdown for the approval before deployment: the exact release and what it passed."""
    release = verified.release
    head = f"**{release.service} {release.id}**, SHA-256 `{release.digest}`"
    rows = [f"| {check.name} | {check.detail or 'passed'} |" for check in verified.checks]
    return "\n\n".join([head, "\n".join(["| check | result |", "|---|---|", *rows])])


@task(name="report: contract", task_run_name="report: contract", cache_policy=NO_CACHE)
def publish_contract(contract: Contract) -> None:
    """A page in Prefect's UI: what was derived from the SPEC, what was assumed, what is missing."""
    create_markdown_artifact(
        key=f"contract-{contract.service}",
        markdown=contract_evidence(contract),
        description=f"{contract.service} {contract.version}: what the SPEC demands",
    )


@task(name="report: checks", task_run_name="report: checks", cache_policy=NO_CACHE)
def publish_checks(verified: VerifiedRelease) -> None:
    """A table in Prefect's UI: each check of the staged copy."""
    create_table_artifact(
        key=f"checks-{verified.release.service}",
        table=[_row(check) for check in verified.checks],
        description=f"{verified.release.service} {verified.release.id}: staged copy",
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


def _row(check: Check) -> dict[str, object]:
    return {
        "check": check.name,
        "passed": check.passed,
        "detail": check.detail,
        "ms": round(check.duration_ms, 1),
    }
