"""What the stand-in of the Messages API accepts: the documented rules, as pure functions.

It is as strict as the real one where a client is tempted: sampling parameters, forced tools,
prefilled answers, schemas that are strict in name only, more than four cache breakpoints.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

VERSIONS = frozenset({"2023-06-01", "2026-10-21"})
NEW_VERSION = "2026-10-21"
FIELDS = frozenset(
    {"model", "max_tokens", "messages", "system", "tools", "tool_choice", "output_config"}
    | {"thinking", "stream", "metadata", "stop_sequences", "service_tier", "container"}
    | {"cache_control", "diagnostics", "inference_geo", "speed", "temperature", "top_p", "top_k"}
)
COUNTED = FIELDS - {"max_tokens", "stream", "metadata", "stop_sequences", "service_tier"}
SAMPLING = ("temperature", "top_p", "top_k")
UNSUPPORTED = frozenset({"minimum", "maximum", "minLength", "maxLength", "pattern"})
MOST_BREAKPOINTS = 4
SMALLEST_LONG_REQUEST = 21_333

Json = dict[str, Any]


@dataclass(frozen=True)
class Known:
    """A model of the stand-in."""

    most_output: int = 128_000
    takes_effort: bool = True
    takes_forced_tools: bool = False
    takes_prefill: bool = False
    smallest_cache: int = 512
    lifecycle: str = "active"
    retires_at: str | None = None


MODELS = {
    "claude-sonnet-4-5-20250929": Known(
        most_output=64_000,
        takes_effort=False,
        takes_forced_tools=True,
        takes_prefill=True,
        smallest_cache=1024,
        lifecycle="deprecated",
        retires_at="2026-11-30T00:00:00Z",
    ),
    "claude-sonnet-5-5": Known(),
    "claude-opus-5-5": Known(),
}


@dataclass(frozen=True)
class Refuses:
    """An answer with an error, in the documented body."""

    status: int
    type: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, request_id: str) -> Json:
        """The documented error body."""
        error = {"type": self.type, "message": self.message}
        return {"type": "error", "error": error, "request_id": request_id}


def invalid(message: str) -> Refuses:
    return Refuses(400, "invalid_request_error", message)


def check_headers(headers: Mapping[str, str], key: str) -> Refuses | None:
    """401 and 400 for what comes before the body; the key may come in either header."""
    if key not in {headers.get("x-api-key"), headers.get("authorization", "")[len("Bearer ") :]}:
        return Refuses(401, "authentication_error", "invalid x-api-key")
    version = headers.get("anthropic-version")
    if version is None:
        return invalid("anthropic-version: header is required")
    return None if version in VERSIONS else invalid(f"anthropic-version: {version} is not valid")


def check_body(body: Json, version: str, models: Mapping[str, Known]) -> Refuses | None:
    """The first rule that this request breaks."""
    name = body.get("model")
    if not isinstance(name, str):
        return invalid("model: Field required")
    if name not in models:
        return Refuses(404, "not_found_error", f"model: {name}")
    faults = [
        *_field_faults(body, version),
        *_message_faults(body, models[name]),
        *_thought_faults(body),
        *_tool_faults(body, models[name]),
        *_output_faults(body, models[name]),
        *_cache_faults(body),
    ]
    return invalid(faults[0]) if faults else None


def check_count(body: Json, version: str, models: Mapping[str, Known]) -> Refuses | None:
    """What a count of tokens takes is a request without what only an answer needs."""
    alien = sorted(set(body) - COUNTED)
    if alien:
        return invalid(f"{alien[0]}: Extra inputs are not permitted")
    return check_body({**body, "max_tokens": 1}, version, models)


def text_of(value: object) -> str:
    """All the text that a request's part shows to the model."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(text_of(item) for item in value)
    if isinstance(value, dict):
        return "\n".join(text_of(value[key]) for key in ("text", "content") if key in value)
    return ""


def tokens(value: object) -> int:
    """A token is about four characters."""
    return len(json.dumps(value, ensure_ascii=False)) // 4


def thought_mark(model: str, body: Json, before: list[Json]) -> str:
    """The signature of a thought: it is bound to its model and to all that was said before it."""
    said = [body.get("system"), body.get("tools"), before]
    return f"{model}:{hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()}"


def cached_prefix(body: Json) -> tuple[str, int] | None:
    """The bytes up to the last breakpoint of tools and system, and their tokens."""
    system = body.get("system") or []
    marked = [at for at, block in enumerate(system) if "cache_control" in block]
    if not marked:
        return None
    prefix = [body["model"], body.get("tools"), system[: marked[-1] + 1], body.get("output_config")]
    return json.dumps(prefix, ensure_ascii=False), tokens(prefix)


def _field_faults(body: Json, version: str) -> Iterator[str]:
    for name in sorted(set(body) - FIELDS):
        yield f"{name}: Extra inputs are not permitted"
    for name in SAMPLING:
        if name in body and version == NEW_VERSION:
            yield f"{name}: this parameter is not supported in API version {version}"


def _message_faults(body: Json, model: Known) -> Iterator[str]:
    messages = body.get("messages") or []
    if not messages:
        yield "messages: at least one message is required"
        return
    if messages[0]["role"] != "user":
        yield 'messages: first message must use the "user" role'
    is_prefilled = messages[-1]["role"] == "assistant" and not _is_continuation(messages)
    if is_prefilled and not model.takes_prefill:
        yield "messages: This model does not support assistant message prefill."
    for at, message in enumerate(messages):
        yield from _block_faults(at, message, messages[at - 1] if at else None)


def _is_continuation(messages: list[Json]) -> bool:
    """A paused turn is sent back as it came: blocks, not a text to go on with."""
    return isinstance(messages[-1]["content"], list) and len(messages) > 1


def _block_faults(at: int, message: Json, before: Json | None) -> Iterator[str]:
    blocks = message["content"] if isinstance(message["content"], list) else []
    if message["content"] in ("", []):
        yield f"messages.{at}: all messages must have non-empty content"
    for block in blocks:
        if block.get("type") == "text" and not block.get("text", "").strip():
            yield f"messages.{at}: text content blocks must contain non-whitespace text"
    called = {b["id"] for b in (before or {}).get("content", []) if _is(b, "tool_use")}
    answered = {b["tool_use_id"] for b in blocks if _is(b, "tool_result")}
    if answered - called:
        yield f"messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks"
    if called - answered:
        yield f"messages.{at}: `tool_use` ids were found without `tool_result` blocks"


def _thought_faults(body: Json) -> Iterator[str]:
    """What another model thought is left out without a word; a changed prefix is a fault."""
    for at, message in enumerate(body["messages"]):
        blocks = message["content"] if isinstance(message["content"], list) else []
        mark = thought_mark(body["model"], body, body["messages"][:at])
        for n, block in enumerate(blocks):
            own = _is(block, "thinking") and block["signature"].startswith(f"{body['model']}:")
            if own and block["signature"] != mark:
                yield (
                    f"messages.{at}.content.{n}: Invalid `signature` in `thinking` block. "
                    "The block is bound to a different conversation. Remove the block."
                )


def _is(block: object, kind: str) -> bool:
    return isinstance(block, dict) and block.get("type") == kind


def _tool_faults(body: Json, model: Known) -> Iterator[str]:
    choice = (body.get("tool_choice") or {}).get("type")
    if choice in {"any", "tool"} and not model.takes_forced_tools:
        yield "tool_choice: This model does not support forced tool use."
    if choice and not body.get("tools"):
        yield "tool_choice: may only be specified while providing tools"
    for at, tool in enumerate(body.get("tools") or []):
        if tool.get("strict"):
            yield from _schema_faults(f"tools.{at}.custom.input_schema", tool["input_schema"])


def _schema_faults(where: str, schema: Json) -> Iterator[str]:
    for word in sorted(UNSUPPORTED & set(schema)):
        yield f"{where}: For '{schema.get('type')}' type, property '{word}' is not supported"
    if schema.get("type") == "object":
        yield from _object_faults(where, schema)
    if schema.get("type") == "array":
        yield from _schema_faults(f"{where}.items", schema.get("items", {}))


def _object_faults(where: str, schema: Json) -> Iterator[str]:
    if schema.get("additionalProperties") is not False:
        yield f"{where}: 'additionalProperties' must be explicitly set to false"
    if set(schema.get("required", [])) != set(schema.get("properties", {})):
        yield f"{where}: every property must be required"
    for name, inner in schema.get("properties", {}).items():
        yield from _schema_faults(f"{where}.{name}", inner)


def _output_faults(body: Json, model: Known) -> Iterator[str]:
    most = body.get("max_tokens", 0)
    if most > model.most_output:
        yield f"max_tokens: {most} > {model.most_output}, which is the maximum allowed"
    if most > SMALLEST_LONG_REQUEST and not body.get("stream"):
        yield "Streaming is required for operations that may take longer than 10 minutes."
    config = body.get("output_config") or {}
    if "effort" in config and not model.takes_effort:
        yield "output_config.effort: This model does not support the effort parameter."
    if "format" in config:
        yield from _schema_faults("output_config.format.schema", config["format"]["schema"])


def _cache_faults(body: Json) -> Iterator[str]:
    found = json.dumps(body).count('"cache_control"')
    if found > MOST_BREAKPOINTS:
        yield f"A maximum of 4 blocks with cache_control may be provided. Found {found}."
