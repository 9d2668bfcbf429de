"""Messages between droplets: `/message` takes them, `/send` passes one on through the registry.

Both answer GET with a description of themselves, because two of the mesh's checkers ask that way.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Request
from pydantic import JsonValue, TypeAdapter, ValidationError

from api import peers
from api.auth import Caller, Scope, requires
from api.builds import cancel, submitted
from api.errors import ApiError
from api.reading import read_job
from api.schemas import (
    SERVICE,
    ErrorAnswer,
    Message,
    MessageAnswer,
    MessageType,
    SendAnswer,
    SendRequest,
    iso,
)
from api.state import Adapter, AdapterDep
from api.submission import submit
from build_executor.models import BuildRequest

_CLOCK_TOLERANCE = timedelta(minutes=5)
_LEGACY_ID = "legacy-"
_SCHEMA = Message.model_json_schema(ref_template="#/components/schemas/{model}")
_BODY = {"requestBody": {"content": {"application/json": {"schema": _SCHEMA}}}}

router = APIRouter(tags=["udc"])
Reader = Depends(requires(Scope.READ))
Reading = Annotated[Caller, Depends(requires(Scope.READ))]
Json = dict[str, Any]


@router.get("/message", dependencies=[Reader])
async def describe_message() -> Json:
    """How to send a message here."""
    return {
        "endpoint": "/message",
        "method": "POST",
        "message_types": list(MessageType),
        "commands": {
            "build": {"payload": {"action": "build", "spec_path": "path of a SPEC.md"}},
            "status": {"payload": {"action": "status", "build_id": "uuid"}},
            "cancel": {"payload": {"action": "cancel", "build_id": "uuid"}},
        },
    }


@router.get("/send", dependencies=[Reader])
async def describe_send() -> Json:
    """How to send a message from here."""
    fields = {name: str(field.annotation) for name, field in SendRequest.model_fields.items()}
    return {"endpoint": "/send", "method": "POST", "fields": fields, "via": "registry"}


@router.post("/message", openapi_extra=_BODY, responses={429: {"model": ErrorAnswer}})
async def take_message(
    body: dict[str, JsonValue], request: Request, adapter: AdapterDep, caller: Reading
) -> MessageAnswer:
    """Acknowledge a message and carry out a command; `build` twice under one id is one build."""
    message = read_message(body, datetime.now(UTC))
    outcome = await _carried_out(message, _Desk(adapter, request, caller))
    return MessageAnswer(
        trace_id=message.trace_id,
        message_id=message.trace_id,
        processed_at=datetime.now(UTC),
        **{"result": "success", **outcome},
    )


@router.post("/send")
async def send_message(message: SendRequest, adapter: AdapterDep, caller: Reading) -> SendAnswer:
    """Have the registry deliver a message to another droplet."""
    _demand(caller, Scope.BUILD)
    trace_id = str(uuid4())
    sent, detail = await peers.send_through_registry(
        adapter.settings, adapter.http, message, trace_id
    )
    return SendAnswer(
        sent=sent,
        trace_id=trace_id,
        target=message.target,
        timestamp=datetime.now(UTC),
        result="success" if sent else "error",
        detail=detail,
    )


def read_message(body: Json, now: datetime) -> Message:
    """The message in the majority's form, translated from an older one; ApiError 422 if none."""
    if "from_service" in body:
        legacy = {"trace_id": f"{_LEGACY_ID}{uuid4()}", "timestamp": iso(now)}
        body = {**legacy, "source": body["from_service"], **body}
    if type(body.get("source")) is int:
        body = {**body, "source": str(body["source"])}
    try:
        message = TypeAdapter(Message).validate_python(body)
    except ValidationError as error:
        problems = [".".join(map(str, problem["loc"])) for problem in error.errors()]
        raise _not_valid(f"missing or invalid: {', '.join(problems)}") from error
    _check(message, now)
    return message


def _check(message: Message, now: datetime) -> None:
    if message.target not in {SERVICE, "broadcast", "*"}:
        raise _not_valid(f"this is {SERVICE}, the message is for somebody else")
    sent = message.timestamp if message.timestamp.tzinfo else message.timestamp.replace(tzinfo=UTC)
    if sent - now > _CLOCK_TOLERANCE:
        raise _not_valid("the timestamp lies in the future")


class _Desk:
    """What carrying out a command takes."""

    def __init__(self, adapter: Adapter, request: Request, caller: Caller) -> None:
        self.adapter, self.request, self.caller = adapter, request, caller

    async def build(self, message: Message) -> Json:
        _demand(self.caller, Scope.BUILD)
        fields = {name: message.payload[name] for name in _REQUEST & message.payload.keys()}
        try:
            wanted = BuildRequest.model_validate(fields)
        except ValidationError as error:
            raise _not_valid("the payload is no build request: spec_path is needed") from error
        run = await submit(self.adapter, wanted, f"message:{message.source}:{message.trace_id}")
        answer = await submitted(self.adapter, run, self.request)
        return {"result": "queued", **answer.model_dump(mode="json")}

    async def status(self, message: Message) -> Json:
        job = await read_job(self.adapter, _build_id(message))
        return {"build": job.model_dump(mode="json")}

    async def cancel(self, message: Message) -> Json:
        _demand(self.caller, Scope.BUILD)
        answer = await cancel(self.adapter, _build_id(message), f"cancelled by {message.source}")
        return answer.model_dump(mode="json")


_REQUEST = frozenset(BuildRequest.model_fields)
_ACTIONS: dict[str, Callable[[_Desk, Message], Awaitable[Json]]] = {
    "build": _Desk.build,
    "status": _Desk.status,
    "cancel": _Desk.cancel,
}


async def _carried_out(message: Message, desk: _Desk) -> Json:
    """Only commands and queries have actions; everything else is just received."""
    if message.message_type not in {MessageType.COMMAND, MessageType.QUERY}:
        return {}
    action = message.payload.get("action")
    if action is None and message.message_type is MessageType.QUERY:
        return {}
    carry_out = _ACTIONS.get(action) if isinstance(action, str) else None
    if carry_out is None:
        raise _not_valid(f"unknown action; known are: {', '.join(_ACTIONS)}")
    return await carry_out(desk, message)


def _build_id(message: Message) -> str:
    build_id = message.payload.get("build_id")
    if not isinstance(build_id, str):
        raise _not_valid("the payload lacks build_id")
    return build_id


def _demand(caller: Caller, scope: Scope) -> None:
    if scope not in caller.scopes:
        raise ApiError(403, "FORBIDDEN", f"the token lacks the scope `{scope}`")


def _not_valid(message: str) -> ApiError:
    return ApiError(422, "INVALID_REQUEST", message)
