"""What the artifact store knows of a build, read for the projection."""

import json

from api.projection import Evidence
from api.runs import Run
from build_executor import artifacts
from build_executor.artifacts import ArtifactStore
from build_executor.comparison import Compatibility
from build_executor.models import BuildRecord, Deployment, RollbackReport
from build_executor.spending import BuildCost

_DEPLOYMENT = artifacts.deployment_artifact("")[: -len(".json")]


def read_evidence(store: ArtifactStore, build_id: str) -> Evidence:
    """Everything; an artifact that is missing or unreadable counts as not there."""
    names = store.names(build_id)
    deployments = (
        store.read_value(build_id, name, Deployment)
        for name in names
        if name.startswith(_DEPLOYMENT)
    )
    return Evidence(
        record=store.read_value(build_id, artifacts.BUILD_RECORD, BuildRecord),
        progress=_progress(store, build_id),
        artifacts=tuple(names),
        deployments=tuple(one for one in deployments if one is not None),
        rollback=store.read_value(build_id, artifacts.ROLLBACK_REPORT, RollbackReport),
        cost=store.read_value(build_id, artifacts.COST, BuildCost),
        compatibility=store.read_value(build_id, artifacts.COMPATIBILITY, Compatibility),
    )


def read_summary_evidence(store: ArtifactStore, run: Run) -> Evidence:
    """As much as one line of a list takes: for a build that is over, usually nothing."""
    if run.state.is_terminal and run.service is not None:
        return Evidence(progress=_progress(store, run.id))
    return Evidence(
        record=store.read_value(run.id, artifacts.BUILD_RECORD, BuildRecord),
        progress=_progress(store, run.id),
    )


def _progress(store: ArtifactStore, build_id: str) -> dict[str, int]:
    try:
        content = json.loads(store.path(build_id, artifacts.PROGRESS).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(phase): int(percent) for phase, percent in content.items()}
