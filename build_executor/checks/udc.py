"""The five endpoints that every droplet has, with all fields that a mesh's checkers look for.

The shapes are the union of what the mesh's services and documents ask for. Where they contradict
each other (`status`: "active" or "healthy") the product specification decides.
"""

from pydantic import JsonValue

from build_executor.checks.examination import Call, Examination, has_status
from build_executor.spec.contract import Shape

_TEXT: Shape = {"type": "string", "minLength": 1}
_NUMBER: Shape = {"type": "number", "minimum": 0}
_COUNT: Shape = {"type": "integer", "minimum": 0}
_INSTANT: Shape = {"type": "string", "format": "date-time"}
_TEXTS: Shape = {"type": "array", "items": {"type": "string"}}
_UPSTREAMS: Shape = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"name": _TEXT, "status": {"enum": ["available", "unavailable"]}},
        "required": ["name", "status"],
    },
}
_UNPROCESSABLE = 422


def check_udc(examination: Examination, release_id: str) -> None:
    """Ask what only reads; `release_id` is the marker that /health has to carry."""
    service = examination.contract.service
    health = _health(service, release_id)
    for path, shape in (("/health", health), *_READ.items()):
        name = f"GET {path}"
        wanted = _with_example(shape, examination.contract.udc_examples.get(name))
        examination.ask(name, Call("GET", path), examination.fits(wanted, 200))
    bad: JsonValue = {"message_type": "event"}
    refused = has_status(_UNPROCESSABLE)
    examination.ask("POST /message refuses half a message", Call("POST", "/message", bad), refused)


def check_message(examination: Examination) -> None:
    """Send one status message, which changes nothing, and see that it is acknowledged."""
    message = status_message(examination.contract.service)
    expected = examination.fits(_ACKNOWLEDGEMENT, 200)
    examination.ask("POST /message", Call("POST", "/message", message), expected)


def status_message(target: str) -> dict[str, JsonValue]:
    """A message in the UDC's form that asks for nothing."""
    return {
        "trace_id": "verification",
        "source": "build-executor",
        "target": target,
        "message_type": "status",
        "payload": {},
        "timestamp": "2026-01-02T03:04:05Z",
    }


def _health(service: str, release_id: str) -> Shape:
    return _object(
        status={"const": "active"},
        service={"const": service},
        name=_TEXT,
        version=_TEXT,
        release={"const": release_id},
        timestamp=_INSTANT,
        updated_at=_INSTANT,
        uptime_seconds=_NUMBER,
        checks={"type": "object"},
        id={},
        steward={},
        endpoint={},
        proof={},
        cost_usd={},
        yield_usd={},
    )


def _object(**fields: Shape) -> Shape:
    return {"type": "object", "properties": dict(fields), "required": list(fields)}


_READ: dict[str, Shape] = {
    "/capabilities": _object(
        version=_TEXT,
        features=_TEXTS,
        dependencies=_TEXTS,
        udc_version=_TEXT,
        metadata={"type": "object"},
        service_name=_TEXT,
        capabilities=_TEXTS,
        supported_operations=_TEXTS,
        integration_endpoints={"type": "array"},
    ),
    "/state": _object(
        status={"enum": ["active", "inactive", "error"]},
        uptime_seconds=_NUMBER,
        requests_total=_COUNT,
        errors_last_hour=_COUNT,
        last_restart=_INSTANT,
        last_activity=_INSTANT,
        mode=_TEXT,
        metrics={"type": "object"},
    ),
    "/dependencies": _object(
        required=_UPSTREAMS,
        optional=_UPSTREAMS,
        missing=_TEXTS,
        required_services=_UPSTREAMS,
        optional_services=_UPSTREAMS,
        external_apis={"type": "array"},
    ),
    "/message": {"type": "object", "required": []},  # the mesh's checkers ask it with GET
}
_ACKNOWLEDGEMENT = _object(
    received={"const": True},
    trace_id={"const": "verification"},
    processed_at=_INSTANT,
    result={"enum": ["success", "queued"]},
)


def _with_example(shape: Shape, example: JsonValue) -> Shape:
    """The fields that the SPEC's own example adds have to be there too."""
    required = shape["required"]
    extra = list(example) if isinstance(example, dict) else []
    names = [*required, *extra] if isinstance(required, list) else extra
    return {**shape, "required": list(dict.fromkeys(names))}
