"""Four of the five UDC endpoints, in the union of what the mesh's droplets and checkers expect.

The fifth, `/message`, is in `messages.py`. `/health` answers within about a second whatever Prefect
does, because others decide by it whether this service lives.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

import psutil
from fastapi import APIRouter, Depends, FastAPI, Request

from api import claude, peers
from api.auth import Scope, requires
from api.errors import ApiError
from api.reading import MAX_CONCURRENT_BUILDS, read_today
from api.schemas import SERVICE, VERSION, iso
from api.state import Adapter, AdapterDep
from build_executor.errors import InvalidSettings
from build_executor.settings import Settings
from build_executor.targets import open_targets

FEATURES = (
    "code_generation",
    "test_generation",
    "build_automation",
    "udc_verification",
    "deployment",
    "registry_integration",
    "health_verification",
    "rollback",
    "artifact_management",
    "approvals",
    "progress_stream",
)
DEPENDENCIES = ("registry", "verifier", "orchestrator")
_PATIENCE_SECONDS = 1.0

router = APIRouter(tags=["udc"])
Reader = Depends(requires(Scope.READ))
Json = dict[str, Any]


@router.get("/health")
async def health(adapter: AdapterDep) -> Json:
    """Whether this service can take builds; free of tokens, and quick whatever Prefect does."""
    active, problem = await _active_builds(adapter)
    now = iso(datetime.now(UTC))
    settings = adapter.settings
    return {
        "status": "active" if problem is None else "error",
        "service": SERVICE,
        "version": VERSION,
        "timestamp": now,
        "active_builds": active[0],
        "claude_api": (await adapter.claude.standing()).word,
        "name": SERVICE,
        "id": None,
        "steward": None,
        "endpoint": f"http://{settings.host}:{settings.port}",
        "updated_at": now,
        "uptime_seconds": adapter.telemetry.uptime_seconds,
        "proof": None,
        "cost_usd": claude.spent_today(settings)["counted_dollars"],
        "yield_usd": 0,
        "checks": {"prefect": problem or "ok"},
    }


@router.get("/capabilities", dependencies=[Reader])
async def capabilities(request: Request, adapter: AdapterDep) -> Json:
    """What this service can do, as it is configured."""
    endpoints = _endpoints(request.app)
    return {
        "version": VERSION,
        "features": list(FEATURES),
        "dependencies": list(DEPENDENCIES),
        "udc_version": "1.0",
        "metadata": {
            "max_concurrent_builds": MAX_CONCURRENT_BUILDS,
            "supported_languages": ["python"],
            "deployment_targets": deployment_targets(adapter.settings),
            **claude.capabilities(adapter.settings),
            "generators": generators(adapter.settings),
        },
        "service_name": SERVICE,
        "droplet_id": None,
        "capabilities": list(FEATURES),
        "supported_operations": [f"{item['method']} {item['path']}" for item in endpoints],
        "integration_endpoints": endpoints,
    }


@router.get("/state", dependencies=[Reader])
async def state(adapter: AdapterDep) -> Json:
    """This process's load and counters, and the day's builds; null where Prefect does not say."""
    (active, queued), problem = await _active_builds(adapter)
    completed, failed = await _today(adapter)
    process, telemetry = psutil.Process(), adapter.telemetry
    per_minute = telemetry.requests_per_minute
    return {
        "uptime_seconds": telemetry.uptime_seconds,
        "requests_total": telemetry.requests_total,
        "errors_last_hour": telemetry.errors_last_hour,
        "last_restart": iso(telemetry.started_at),
        "active_builds": active,
        "queued_builds": queued,
        "completed_today": completed,
        "failed_today": failed,
        "cpu_percent": process.cpu_percent(),
        "memory_mb": round(process.memory_info().rss / 2**20, 1),
        "requests_per_minute": per_minute,
        "status": "active" if problem is None else "error",
        "mode": "production" if adapter.settings.jwt_secret else "local",
        "last_activity": iso(datetime.now(UTC)),
        "metrics": {"requests_per_minute": per_minute},
        "claude_api": (await adapter.claude.standing()).word,
        "claude_today": claude.spent_today(adapter.settings),
    }


@router.get("/dependencies", dependencies=[Reader])
async def dependencies(adapter: AdapterDep) -> Json:
    """The droplets that are configured, and whether each of them answers now."""
    standing = await adapter.claude.standing()
    return await peers.dependencies(adapter.settings, adapter.gateway, adapter.http, standing)


def deployment_targets(settings: Settings) -> list[str]:
    """The targets that a build can be deployed to with these settings."""
    try:
        open_targets("production", settings)
    except InvalidSettings:
        return ["local"]
    return ["local", "production"]


def generators(settings: Settings) -> list[str]:
    """Who writes code with these settings."""
    return ["compiler"] if settings.anthropic_api_key is None else ["compiler", "claude"]


async def _active_builds(
    adapter: Adapter,
) -> tuple[tuple[int | None, int | None], str | None]:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await adapter.active_builds.get(), None
    except TimeoutError:
        return (None, None), "Prefect does not answer in time"
    except ApiError as error:
        return (None, None), error.message


async def _today(adapter: Adapter) -> tuple[int | None, int | None]:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await read_today(adapter.gateway, datetime.now(UTC))
    except (TimeoutError, ApiError):
        return None, None


def _endpoints(app: FastAPI) -> list[dict[str, str]]:
    return [
        {"path": path, "method": method.upper(), "description": operation["description"]}
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
    ]
