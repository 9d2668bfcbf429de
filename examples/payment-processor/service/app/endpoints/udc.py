"""The five endpoints that every service of the mesh has, and `/send`."""

import asyncio
import logging
import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, StrictInt, model_validator

from app.config import Settings
from app.metrics import Metrics
from app.repository import Repository, timestamp
from app.utils.registry import deliver, endpoint_of, is_available

router = APIRouter(tags=["udc"])
_log = logging.getLogger(__name__)

SERVICE = "payment-processor"
VERSION = "1.0.0"
FEATURES: list[str] = ["payments", "refunds", "reporting"]
DEPENDENCIES: list[str] = ["registry", "ledger"]
IMPLEMENTATION: dict[str, str] = {
    "POST /payments": "implemented",
    "GET /payments": "implemented",
    "GET /payments/{payment_id}": "implemented",
    "PATCH /payments/{payment_id}": "implemented",
    "POST /payments/{payment_id}/capture": "derived",
    "POST /payments/{payment_id}/cancel": "implemented",
    "POST /payments/{payment_id}/refund": "derived",
    "POST /payments/{payment_id}/notes": "implemented",
    "GET /payments/{payment_id}/notes": "implemented",
    "DELETE /payments/{payment_id}": "implemented",
    "GET /payments/stats": "implemented",
    "WS /payments/{payment_id}/stream": "implemented",
}
OPERATIONS: list[dict[str, str]] = [
    {"operation": "udc_health", "method": "GET", "path": "/health", "description": "GET /health"},
    {
        "operation": "udc_capabilities",
        "method": "GET",
        "path": "/capabilities",
        "description": "GET /capabilities",
    },
    {"operation": "udc_state", "method": "GET", "path": "/state", "description": "GET /state"},
    {
        "operation": "udc_dependencies",
        "method": "GET",
        "path": "/dependencies",
        "description": "GET /dependencies",
    },
    {
        "operation": "udc_message",
        "method": "POST",
        "path": "/message",
        "description": "POST /message",
    },
    {
        "operation": "create_payment",
        "method": "POST",
        "path": "/payments",
        "description": "Create a payment",
    },
    {
        "operation": "list_payments",
        "method": "GET",
        "path": "/payments",
        "description": "List payments, newest first",
    },
    {
        "operation": "get_payment",
        "method": "GET",
        "path": "/payments/{payment_id}",
        "description": "Read one payment",
    },
    {
        "operation": "update_payment",
        "method": "PATCH",
        "path": "/payments/{payment_id}",
        "description": "Change the description or the metadata of a payment",
    },
    {
        "operation": "capture_payment",
        "method": "POST",
        "path": "/payments/{payment_id}/capture",
        "description": "Capture a payment. Only pending payments can be captured.",
    },
    {
        "operation": "cancel_payment",
        "method": "POST",
        "path": "/payments/{payment_id}/cancel",
        "description": "Cancel a payment. Only pending payments can be cancelled.",
    },
    {
        "operation": "refund_payment",
        "method": "POST",
        "path": "/payments/{payment_id}/refund",
        "description": "Refund a payment in full. Only captured payments can be refunded.",
    },
    {
        "operation": "create_note",
        "method": "POST",
        "path": "/payments/{payment_id}/notes",
        "description": "Add a note to a payment",
    },
    {
        "operation": "list_notes",
        "method": "GET",
        "path": "/payments/{payment_id}/notes",
        "description": "List the notes of a payment",
    },
    {
        "operation": "delete_payment",
        "method": "DELETE",
        "path": "/payments/{payment_id}",
        "description": "Delete a payment",
    },
    {
        "operation": "get_payments_stats",
        "method": "GET",
        "path": "/payments/stats",
        "description": "Count payments",
    },
    {
        "operation": "stream_payment",
        "method": "WS",
        "path": "/payments/{payment_id}/stream",
        "description": "Changes of one payment as they happen",
    },
]
METADATA: dict[str, Any] = {"currencies": ["EUR", "USD", "GBP"]}


async def settings_of(request: Request) -> Settings:
    """The settings of the running application."""
    settings: Settings = request.app.state.settings
    return settings


async def metrics_of(request: Request) -> Metrics:
    """The counts of the running application."""
    metrics: Metrics = request.app.state.metrics
    return metrics


async def repository_of(request: Request) -> Repository:
    """The records of the running application."""
    repository: Repository = request.app.state.repository
    return repository


Configured = Annotated[Settings, Depends(settings_of)]
Counted = Annotated[Metrics, Depends(metrics_of)]
Store = Annotated[Repository, Depends(repository_of)]


class UdcMessage(BaseModel):
    """What one service tells another."""

    model_config = ConfigDict(extra="allow")

    trace_id: str = Field(min_length=1)
    source: str | StrictInt
    target: str = SERVICE
    message_type: Literal["status", "event", "command", "query", "data"]
    payload: dict[str, Any]
    timestamp: str = Field(min_length=1)
    signature: str | None = None

    @model_validator(mode="before")
    @classmethod
    def accept_older_form(cls, data: object) -> object:
        """Older services say `from_service` and leave out the id and the time."""
        if isinstance(data, dict) and "from_service" in data:
            older = {"trace_id": str(uuid.uuid4()), "timestamp": timestamp(), "payload": {}}
            return {**older, **data, "source": data["from_service"]}
        return data


class Acknowledgement(BaseModel):
    """That a message arrived, and what came of it."""

    received: bool
    trace_id: str
    processed_at: str
    result: Literal["success", "queued", "error"]
    message_id: str
    detail: str | None = None


class OutgoingMessage(BaseModel):
    """A message that this service shall send."""

    target: str = Field(min_length=1)
    message_type: Literal["status", "event", "command", "query", "data"]
    payload: dict[str, Any] = Field(default_factory=dict)
    priority: Literal["high", "normal", "low"] = "normal"
    retry_count: int = Field(default=0, ge=0, le=5)
    trace_id: str | None = None


@router.get("/health")
async def read_health(configured: Configured, counted: Counted, store: Store) -> dict[str, Any]:
    """Whether the service works."""
    usable = store.is_usable()
    now = timestamp()
    return {
        "status": "active" if usable else "error",
        "service": SERVICE,
        "name": SERVICE,
        "id": None,
        "version": VERSION,
        "release": configured.release_id,
        "steward": configured.steward,
        "timestamp": now,
        "updated_at": now,
        "uptime_seconds": counted.uptime_seconds,
        "endpoint": configured.endpoint,
        "proof": None,
        "cost_usd": 0,
        "yield_usd": 0,
        "checks": {"database": "ok" if usable else "failed"},
    }


@router.get("/capabilities")
async def read_capabilities() -> dict[str, Any]:
    """What the service can do, and how far each operation is implemented."""
    return {
        "version": VERSION,
        "features": FEATURES,
        "capabilities": FEATURES,
        "dependencies": DEPENDENCIES,
        "udc_version": "1.0",
        "service_name": SERVICE,
        "supported_operations": [operation["operation"] for operation in OPERATIONS],
        "integration_endpoints": OPERATIONS,
        "metadata": {**METADATA, "implementation": IMPLEMENTATION},
    }


@router.get("/state")
async def read_state(counted: Counted, store: Store) -> dict[str, Any]:
    """What the service is doing."""
    return {
        "pending_payments": store.count("payments", {"status": "pending"}),
        "captured_today": store.count_today("payments", {"status": "captured"}),
        "status": "active",
        "mode": "normal",
        "cpu_percent": counted.cpu_percent,
        "memory_mb": counted.memory_mb,
        "uptime_seconds": counted.uptime_seconds,
        "requests_total": counted.requests_total,
        "requests_per_minute": counted.requests_per_minute,
        "errors_last_hour": counted.errors_last_hour,
        "last_restart": counted.started_at.isoformat().replace("+00:00", "Z"),
        "last_activity": counted.last_activity.isoformat().replace("+00:00", "Z"),
        "metrics": {"requests_per_minute": counted.requests_per_minute},
    }


@router.get("/dependencies")
async def read_dependencies(configured: Configured) -> dict[str, Any]:
    """Which of the configured services answer; one that is not configured is unavailable."""
    required = await _probe(
        {
            "registry": configured.registry_url,
        }
    )
    optional = await _probe(
        {
            "ledger": configured.ledger_url,
        }
    )
    return {
        "required": required,
        "optional": optional,
        "missing": [item["name"] for item in required if item["status"] != "available"],
        "required_services": required,
        "optional_services": optional,
        "external_apis": [],
    }


async def _probe(addresses: dict[str, str]) -> list[dict[str, Any]]:
    answers = await asyncio.gather(*(_is_up(url) for url in addresses.values()))
    return [
        {"name": name, "status": "available" if up else "unavailable", "url": url or None}
        for (name, url), up in zip(addresses.items(), answers, strict=True)
    ]


async def _is_up(url: str) -> bool:
    return bool(url) and await is_available(url)


@router.get("/message")
async def describe_message() -> dict[str, Any]:
    """How to use `POST /message`."""
    return {"method": "POST", "path": "/message", "body": UdcMessage.model_json_schema()}


@router.post("/message", responses={400: {"description": "The body is not JSON"}})
async def receive_message(message: UdcMessage) -> Acknowledgement:
    """Take a message from another service."""
    _log.info("message of type %s", message.message_type)
    return Acknowledgement(
        received=True,
        trace_id=message.trace_id,
        processed_at=timestamp(),
        result="success",
        message_id=str(uuid.uuid4()),
    )


@router.get("/send")
async def describe_send() -> dict[str, Any]:
    """How to use `POST /send`."""
    return {"method": "POST", "path": "/send", "body": OutgoingMessage.model_json_schema()}


@router.post("/send", responses={400: {"description": "The body is not JSON"}})
async def send_message(outgoing: OutgoingMessage, configured: Configured) -> dict[str, Any]:
    """Send a message to a service that the registry knows."""
    trace_id = outgoing.trace_id or str(uuid.uuid4())
    endpoint = await endpoint_of(configured, outgoing.target)
    sent = endpoint is not None and await deliver(
        endpoint,
        {
            "trace_id": trace_id,
            "source": SERVICE,
            "target": outgoing.target,
            "message_type": outgoing.message_type,
            "payload": outgoing.payload,
            "timestamp": timestamp(),
        },
    )
    return {
        "sent": sent,
        "trace_id": trace_id,
        "target": outgoing.target,
        "timestamp": timestamp(),
        "result": "success" if sent else "error",
    }
