"""Register what was deployed, and keep the registry true when a deployment is undone."""

from pydantic import JsonValue

from build_executor.deployment import LiveService
from build_executor.events import report_progress
from build_executor.mesh.registry import Registry
from build_executor.models import Deployment, Registration
from build_executor.phases import Phase
from build_executor.spec.contract import Contract


def register(deployment: Deployment, contract: Contract, registry: Registry) -> Registration:
    """The registry's entry of the deployment, read back; RegistrationFailed if it is not there."""
    metadata: dict[str, JsonValue] = {
        "release_id": deployment.release_id,
        "build_id": deployment.build_id,
        "target": deployment.target,
        "udc_version": "1.0",
        "capabilities": list(contract.features),
    }
    registration = registry.register(deployment.service, deployment.url, contract.version, metadata)
    report_progress(Phase.REGISTRATION, 100, f"registered at {registration.registry}")
    return registration


def restore_registration(
    service: str, live: LiveService | None, detail: str, registry: Registry
) -> None:
    """After a roll-back: an existing entry points to the restored service, or is withdrawn.

    `live` is None if nothing of the service is live any more. A service that was not registered
    stays unregistered. RegistrationFailed if the registry cannot be told, or says something else
    when it is read back.
    """
    if live is None:
        registry.withdraw(service)
        return
    restored: dict[str, JsonValue] = {
        "version": live.version,
        "release_id": live.release_id,
        "build_id": live.build_id,
        "rollback": detail,
    }
    registry.note_rollback(service, live.url, restored)
