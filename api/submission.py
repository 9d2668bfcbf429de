"""How a build is asked for, whoever asks: the SPEC is read and judged before anything is queued."""

import asyncio
import shutil
from typing import Annotated

from fastapi import Header

from api.errors import ApiError
from api.runs import Run
from api.state import Adapter
from build_executor.errors import InvalidSettings, SpecRefused, SpecUnreadable
from build_executor.models import BuildRequest
from build_executor.settings import Settings
from build_executor.spec.derivation import derive_contract
from build_executor.spec.source import keep_source, read_source
from build_executor.targets import open_targets

MOST_METADATA = 50
MOST_METADATA_BYTES = 8192
LEAST_FREE_BYTES = 500_000_000

IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200, pattern=r"^[!-~]+$")
]


async def submit(adapter: Adapter, request: BuildRequest, key: str | None) -> Run:
    """The queued build of this request; the same key gives the same build again.

    ApiError 422 for a SPEC that cannot be read or built and for a target that is not configured;
    409 if the key was used for another request; 429 if the queue is full.
    """
    _refuse_bloated(request)
    service, digest = await asyncio.to_thread(_judged, adapter.settings, request)
    parameters = {"request": request.model_dump(mode="json"), "spec_digest": digest}
    limit = adapter.settings.queue_limit
    run = await adapter.gateway.submit(parameters, service, key, queue_limit=limit)
    if run.parameters.get("request") != parameters["request"]:
        raise ApiError(
            409,
            "IDEMPOTENCY_CONFLICT",
            "this idempotency key was used for another request",
            {"build_id": run.id},
        )
    return run


def _refuse_bloated(request: BuildRequest) -> None:
    if len(request.metadata) > MOST_METADATA:
        raise ApiError(422, "INVALID_REQUEST", f"metadata has over {MOST_METADATA} entries")
    if len(request.model_dump_json()) > MOST_METADATA_BYTES:
        raise ApiError(422, "INVALID_REQUEST", f"metadata is over {MOST_METADATA_BYTES} bytes")


def _refuse_full_disk(settings: Settings) -> None:
    """A build that runs out of space half-way helps nobody."""
    settings.build_executor_home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if shutil.disk_usage(settings.build_executor_home).free < LEAST_FREE_BYTES:
        raise ApiError(507, "NO_SPACE", "less than 500 MB are free where builds are kept")


def _judged(settings: Settings, request: BuildRequest) -> tuple[str, str]:
    """The service and the kept SPEC's digest."""
    _refuse_full_disk(settings)
    try:
        if request.deploy_production:
            open_targets("production", settings)
        source = read_source(request.spec_path, settings.spec_roots)
        contract = derive_contract(source.text)
    except SpecUnreadable as error:
        raise ApiError(422, "SPEC_UNREADABLE", str(error)) from error
    except SpecRefused as error:
        details = {"reason": error.reason, "line": error.line}
        raise ApiError(422, "SPEC_REFUSED", str(error), details) from error
    except InvalidSettings as error:
        raise ApiError(422, "TARGET_NOT_CONFIGURED", str(error)) from error
    keep_source(source, settings.specs)
    return contract.service, source.digest
