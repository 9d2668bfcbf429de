"""The service endpoints: submit, list, status, approve, cancel, roll back, artifacts."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from api.auth import Caller, Scope, requires
from api.errors import ApiError, wrong_state
from api.evidence import read_evidence
from api.phases import next_phase, project_phases
from api.projection import can_roll_back, estimated_start, service_name, status_of
from api.reading import read_job, read_list, read_outlook, read_run
from api.runs import Page, Resumption, Run, StateType
from api.schemas import (
    ApprovalAnswer,
    ApprovalRequest,
    BuildJob,
    BuildList,
    Cancelled,
    CancelRequest,
    ErrorAnswer,
    RolledBack,
    Submitted,
)
from api.state import Adapter, AdapterDep
from api.submission import IdempotencyKey, submit
from build_executor import artifacts, ownership
from build_executor.models import BuildRequest, RollbackReport
from build_executor.phases import BuildStatus

ROLL_BACK_SECONDS = 120
_ROLL_BACK_POLL_SECONDS = 0.3
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
_MEDIA_TYPES = {".json": "application/json", ".md": "text/plain", ".log": "text/plain"}
_ERRORS = (401, 403, 404, 409, 413, 422, 502, 503)

router = APIRouter(
    prefix="/builds", responses={code: {"model": ErrorAnswer} for code in _ERRORS}, tags=["builds"]
)
Reader = Depends(requires(Scope.READ))
Builder = Annotated[Caller, Depends(requires(Scope.BUILD))]
Approver = Depends(requires(Scope.APPROVE))


@router.post(
    "/submit",
    responses={
        429: {"model": ErrorAnswer, "description": "The queue is full; see Retry-After"},
        507: {"model": ErrorAnswer, "description": "The disk is full"},
    },
)
async def submit_build(
    request: Request,
    wanted: BuildRequest,
    adapter: AdapterDep,
    caller: Builder,
    key: IdempotencyKey = None,
) -> Submitted:
    """Queue a build of the SPEC at `spec_path`; an `Idempotency-Key` makes repeating it safe."""
    run = await submit(adapter, wanted, f"submit:{caller.subject}:{key}" if key else None)
    return await submitted(adapter, run, request)


async def submitted(adapter: Adapter, run: Run, request: Request) -> Submitted:
    """The answer to a submission, whichever way it came."""
    outlook = await read_outlook(adapter, run)
    host = request.headers.get("host", "")
    address = host if _HOST.fullmatch(host) else f"{adapter.settings.host}:{adapter.settings.port}"
    queued = status_of(run) is BuildStatus.QUEUED
    return Submitted(
        build_id=run.id,
        status=status_of(run),
        queue_position=outlook.queue_position,
        estimated_start=estimated_start(outlook, datetime.now(UTC)) if queued else run.start_time,
        status_url=f"/builds/{run.id}/status",
        stream_url=f"ws://{address}/builds/{run.id}/stream",
        service_name=run.service or "",
    )


@router.get("", dependencies=[Reader])
async def list_builds(
    adapter: AdapterDep,
    status: BuildStatus | None = None,
    service_name: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> BuildList:
    """Builds, newest first; the counts disregard `status`, so they add up to `total`."""
    return await read_list(adapter, status, service_name, Page(limit=limit, offset=offset))


@router.get("/{build_id}/status", dependencies=[Reader])
async def build_status(build_id: str, adapter: AdapterDep) -> BuildJob:
    """Everything about one build."""
    return await read_job(adapter, build_id)


@router.post("/{build_id}/approve", dependencies=[Approver])
async def approve_build(
    build_id: str, answer: ApprovalRequest, adapter: AdapterDep
) -> ApprovalAnswer:
    """Answer the checkpoint at which the build waits; 409 if it waits at none."""
    run = await read_run(adapter, build_id)
    if run.state.type is not StateType.PAUSED:
        raise wrong_state(status_of(run), "the build does not wait for an approval")
    evidence = await asyncio.to_thread(read_evidence, adapter.store, run.id)
    if evidence.record is not None and not ownership.is_alive(evidence.record.owner):
        raise wrong_state(status_of(run), "the build's process is gone, it will be marked failed")
    tasks = await adapter.gateway.task_runs([run.id])
    outcome = await adapter.gateway.resume(run.id, answer.model_dump())
    if outcome is not Resumption.ACCEPTED:
        now = await read_run(adapter, build_id)
        raise wrong_state(status_of(now), "the answer came too late")
    recorded = datetime.now(UTC)
    phases = project_phases(run, tasks, evidence.progress, recorded)
    return ApprovalAnswer(
        build_id=run.id,
        status=BuildStatus.RUNNING,
        next_phase=next_phase(phases) if answer.approved else None,
        approval_recorded=recorded,
        approved=answer.approved,
    )


@router.post("/{build_id}/cancel")
async def cancel_build(
    build_id: str, adapter: AdapterDep, _caller: Builder, wish: CancelRequest | None = None
) -> Cancelled:
    """End a build; what it had put live is rolled back. 409 if it is over already."""
    return await cancel(adapter, build_id, (wish or CancelRequest()).reason)


async def cancel(adapter: Adapter, build_id: str, reason: str) -> Cancelled:
    """The same, whichever way it was asked for."""
    run = await read_run(adapter, build_id)
    if run.state.is_terminal:
        raise wrong_state(status_of(run), "the build is over")
    state = await adapter.gateway.cancel(run.id, reason)
    if state.type not in {StateType.CANCELLING, StateType.CANCELLED}:
        now = await read_run(adapter, build_id)
        raise wrong_state(status_of(now), "the build was over before it could be cancelled")
    return Cancelled(
        build_id=run.id,
        status=BuildStatus.CANCELLED,
        cancelled_at=state.timestamp,
        cancellation_reason=reason,
    )


@router.post("/{build_id}/rollback")
async def roll_back_build(build_id: str, adapter: AdapterDep, _caller: Builder) -> RolledBack:
    """Put back what was live before this build, and prove it; once it is done, it is not_needed."""
    run = await read_run(adapter, build_id)
    if not run.state.is_terminal:
        raise wrong_state(status_of(run), "only a build that is over can be rolled back")
    evidence = await asyncio.to_thread(read_evidence, adapter.store, run.id)
    if not can_roll_back(run, evidence):
        if evidence.rollback is None:
            raise wrong_state(status_of(run), "the build has replaced nothing that can be put back")
        return _rolled_back(run.id, _once_more(evidence.rollback))
    service = service_name(run, evidence)
    roll_back = await adapter.gateway.start_roll_back(run.id, f"roll-back of {service} asked for")
    ended = await _until_over(adapter, roll_back)
    report = adapter.store.read_value(run.id, artifacts.ROLLBACK_REPORT, RollbackReport)
    if ended is None or report is None or ended.state.type is not StateType.COMPLETED:
        raise ApiError(
            503 if ended is None else 502,
            "ROLLBACK_UNFINISHED" if ended is None else "ROLLBACK_FAILED",
            "the roll-back is not over yet" if ended is None else "the roll-back did not succeed",
            {
                "rollback_run": roll_back.id,
                "rollback_status": "running" if ended is None else "failed",
            },
        )
    return _rolled_back(run.id, report)


@router.get("/{build_id}/artifacts", dependencies=[Reader])
async def list_artifacts(build_id: str, adapter: AdapterDep) -> JSONResponse:
    """Addition: what the build left behind."""
    run = await read_run(adapter, build_id)
    names = await asyncio.to_thread(adapter.store.names, run.id)
    sizes = [adapter.store.path(run.id, name).stat().st_size for name in names]
    items = [{"name": name, "bytes": size} for name, size in zip(names, sizes, strict=True)]
    return JSONResponse({"build_id": run.id, "artifacts": items})


@router.get("/{build_id}/artifacts/{name}", dependencies=[Reader], response_class=FileResponse)
async def read_artifact(build_id: str, name: str, adapter: AdapterDep) -> Response:
    """Addition: one artifact's content."""
    run = await read_run(adapter, build_id)
    path = adapter.store.path(run.id, name) if name in adapter.store.names(run.id) else None
    if path is None or path.is_symlink() or not path.is_file():
        raise ApiError(404, "NOT_FOUND", "the build has no such artifact")
    media_type = _MEDIA_TYPES.get(path.suffix, "application/octet-stream")
    headers = {"X-Content-Type-Options": "nosniff"}
    return FileResponse(path, media_type=media_type, filename=name, headers=headers)


async def _until_over(adapter: Adapter, roll_back: Run) -> Run | None:
    """The roll-back's run when it is over; None if that takes too long."""
    try:
        async with asyncio.timeout(ROLL_BACK_SECONDS):
            while not roll_back.state.is_terminal:
                await asyncio.sleep(_ROLL_BACK_POLL_SECONDS)
                roll_back = await adapter.gateway.read(roll_back.id) or roll_back
    except TimeoutError:
        return None
    return roll_back


def _once_more(done: RollbackReport) -> RollbackReport:
    """What was done stays done: the same release is live, and nothing is left to do."""
    return done.model_copy(update={"rollback_status": "not_needed"})


def _rolled_back(build_id: str, report: RollbackReport) -> RolledBack:
    fields = report.model_dump(include=set(RolledBack.model_fields))
    return RolledBack(build_id=build_id, **fields)
