"""What is kept of a release that failed: its archive is an artifact already, its words become one.

The release itself is taken off its hosts, so this is what is left to find out why.
"""

import logging
from collections.abc import Sequence

from build_executor.artifacts import ArtifactStore, deployment_failure, service_log
from build_executor.errors import BuildExecutorError, DeploymentFailed
from build_executor.models import Finding, Value
from build_executor.targets.target import Target

_log = logging.getLogger(__name__)


class DeploymentFailure(Value):
    """Why a release did not become, or did not stay, live on a target."""

    target: str
    service: str
    release_id: str
    message: str
    findings: tuple[Finding, ...] = ()


def keep_failure(
    build_id: str, failure: DeploymentFailure, targets: Sequence[Target], store: ArtifactStore
) -> None:
    """Keep the reason and what the release said on each host; never raises for a lost host."""
    store.write_value(build_id, deployment_failure(failure.target), failure)
    for target in targets:
        _keep_log(build_id, failure.service, [failure.release_id], target, store)


def keep_logs(build_id: str, service: str, targets: Sequence[Target], store: ArtifactStore) -> None:
    """Keep what the releases of a build say, before they are taken off; never raises either."""
    for target in targets:
        try:
            installed = target.read(service).releases
        except DeploymentFailed as error:
            _log.warning("nobody knows what %s said on %s: %s", service, target.name, error)
            continue
        ids = [release.id for release in installed if release.build_id == build_id]
        _keep_log(build_id, service, ids, target, store)


def _keep_log(
    build_id: str, service: str, release_ids: Sequence[str], target: Target, store: ArtifactStore
) -> None:
    try:
        said = "\n".join(filter(None, (target.log(service, one) for one in release_ids)))
    except (BuildExecutorError, OSError) as error:
        _log.warning("the log of %s on %s is lost: %s", service, target.name, error)
        return
    if said:
        store.write(build_id, service_log(target.name), said.encode())
