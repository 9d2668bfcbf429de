"""A stand-in for the Messages API, over HTTP and SSE, on loopback.

It speaks the documented wire format: events in small pieces, pings, usage in two places, errors
with their bodies, headers and request ids, token counts, the list of models, and a cache of
prefixes. What it says is scripted, one behaviour a call of `POST /v1/messages`; a behaviour may be
a function of the request, such as `tests.messages_obedience.Obedient`.

    with MessagesServer(script=[writes({"total": "def total() -> int: ..."})]) as server:
        settings = Settings(anthropic_base_url=server.url, anthropic_api_key=server.key)
"""

import itertools
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self
from urllib.parse import unquote

from tests.messages_rules import (
    MODELS,
    Json,
    Known,
    Refuses,
    cached_prefix,
    check_body,
    check_count,
    check_headers,
    thought_mark,
    tokens,
)

KEY = "sk-ant-test-canary-5e1f0c9a7b"
_PIECE = 24

Breaks = Literal["stream", "connection", "overloaded", "silence"]


@dataclass(frozen=True)
class Text:
    """A block of prose."""

    text: str


@dataclass(frozen=True)
class Thinking:
    """A block of thoughts; it counts as output and means nothing, and is signed as it should be."""

    text: str
    signature: str | None = None


@dataclass(frozen=True)
class ToolCall:
    """A block that calls a tool; `shown` characters of its JSON are sent, by default all."""

    tool: str
    input: Json
    shown: int | None = None


@dataclass(frozen=True)
class Raw:
    """A block of a kind that is still to be invented."""

    start: Json


Block = Text | Thinking | ToolCall | Raw


@dataclass(frozen=True)
class Says:
    """An answer of 200; `breaks` says how its stream ends before its end."""

    blocks: tuple[Block, ...] = ()
    stop_reason: str | None = None
    stop_details: Json | None = None
    breaks: Breaks | None = None
    output_tokens: int | None = None

    @property
    def reason(self) -> str:
        calls = any(isinstance(block, ToolCall) for block in self.blocks)
        return self.stop_reason or ("tool_use" if calls else "end_turn")


Check = Callable[[Json, str, Mapping[str, Known]], Refuses | None]
Behaviour = Says | Refuses
Step = Behaviour | Callable[[Json], Behaviour]


def writes(
    functions: Mapping[str, str],
    files: Mapping[str, str] | None = None,
    *,
    breaks: Breaks | None = None,
    stop_reason: str | None = None,
) -> Says:
    """A call of write_function for each function and of write_file for each file, in one answer."""
    calls = [
        ToolCall("write_function", {"name": name, "source": text})
        for name, text in functions.items()
    ]
    calls += [
        ToolCall("write_file", {"path": path, "content": text})
        for path, text in (files or {}).items()
    ]
    return Says(tuple(calls), breaks=breaks, stop_reason=stop_reason)


def truncated(functions: Mapping[str, str]) -> Says:
    """The output limit in the middle of the last function."""
    *first, last = writes(functions).blocks
    assert isinstance(last, ToolCall)
    half = ToolCall(last.tool, last.input, shown=len(json.dumps(last.input)) // 2)
    return Says((*first, half), stop_reason="max_tokens")


def prose(text: str = "Here is how I would do it.") -> Says:
    return Says((Text(text),))


def refusal(category: str = "cyber") -> Says:
    details = {"type": "refusal", "category": category, "explanation": "It could do harm."}
    return Says((), stop_reason="refusal", stop_details=details)


def structured(functions: Mapping[str, str]) -> Says:
    """The structured form's answer: one text of JSON."""
    listed = [{"kind": "function", "name": n, "text": text} for n, text in functions.items()]
    return Says((Text(json.dumps({"writes": listed})),))


def overloaded(retry_after: str | None = None) -> Refuses:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return Refuses(529, "overloaded_error", "Overloaded", headers)


def rate_limited(retry_after: str) -> Refuses:
    limits = {"retry-after": retry_after, "anthropic-ratelimit-requests-remaining": "0"}
    return Refuses(429, "rate_limit_error", "Number of requests has exceeded your limit", limits)


@dataclass
class Seen:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: Json


@dataclass
class MessagesServer:
    """Plays its script; after its end every call gets `otherwise`."""

    script: list[Step] = field(default_factory=list)
    otherwise: Step = field(default_factory=prose)
    models: dict[str, Known] = field(default_factory=lambda: dict(MODELS))
    key: str = KEY
    seen: list[Seen] = field(default_factory=list)
    counting: list[Refuses] = field(default_factory=list)
    """Faults of the next token counts."""

    def __enter__(self) -> Self:
        self._ids, self._prefixes, self._lock = itertools.count(1), set[str](), threading.Lock()
        self.stopping = threading.Event()
        handler = type("OwnHandler", (_Handler,), {"fake": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self._server.faults and error is None:
            raise self._server.faults[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def calls(self) -> list[Json]:
        """The bodies of all calls of the model, token counts left out."""
        return [one.body for one in self.seen if one.path == "/v1/messages"]

    def next_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._ids):024d}"

    def refuses(self, headers: dict[str, str], body: Json, check: Check) -> Refuses | None:
        refused = check_headers(headers, self.key)
        return refused or check(body, headers["anthropic-version"], self.models)

    def behaviour(self, body: Json) -> Behaviour:
        with self._lock:
            step = self.script.pop(0) if self.script else self.otherwise
        return step(body) if callable(step) else step

    def usage(self, body: Json) -> dict[str, int]:
        """Input tokens by how they are billed; an identical prefix is read from the cache."""
        total = tokens({key: body[key] for key in body if key not in {"stream", "max_tokens"}})
        prefix = cached_prefix(body)
        if prefix is None or prefix[1] < self.models[body["model"]].smallest_cache:
            return _usage(total, 0, 0)
        with self._lock:
            is_known = prefix[0] in self._prefixes
            self._prefixes.add(prefix[0])
        size = min(prefix[1], total)
        return _usage(total - size, 0 if is_known else size, size if is_known else 0)


def _usage(plain: int, written: int, read: int) -> dict[str, int]:
    return {
        "input_tokens": plain,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
    }


def _start(block: Block, identity: str) -> Json:
    match block:
        case Text():
            return {"type": "text", "text": ""}
        case Thinking():
            return {"type": "thinking", "thinking": "", "signature": ""}
        case ToolCall():
            return {"type": "tool_use", "id": identity, "name": block.tool, "input": {}}
        case Raw():
            return block.start


def _deltas(block: Block, signature: str = "") -> Iterator[Json]:
    match block:
        case Text():
            yield from ({"type": "text_delta", "text": piece} for piece in _pieces(block.text))
        case Thinking():
            thoughts = _pieces(block.text)
            yield from ({"type": "thinking_delta", "thinking": piece} for piece in thoughts)
            yield {"type": "signature_delta", "signature": block.signature or signature}
        case ToolCall():
            sent = ["", *_pieces(json.dumps(block.input)[: block.shown])]
            yield from ({"type": "input_json_delta", "partial_json": piece} for piece in sent)


def _pieces(text: str) -> Iterator[str]:
    for at in range(0, len(text), _PIECE):
        yield text[at : at + _PIECE]


def _size(block: Block) -> int:
    return sum(len(json.dumps(delta)) for delta in _deltas(block)) // 8 + 4


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.faults: list[BaseException] = []

    def handle_error(self, *_: object) -> None:
        """A client that goes away is none of a test's business; a broken script is."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.faults.append(error)


class _Handler(BaseHTTPRequestHandler):
    fake: MessagesServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is inherited
        """Say nothing."""

    def do_GET(self) -> None:
        refused = check_headers(self._headers(), self.fake.key)
        name = unquote(self.path.split("?")[0].removeprefix("/v1/models").strip("/"))
        self._note({})
        if refused is not None:
            self._refuse(refused)
        elif not name:
            self._json(200, {"data": [self._model(one) for one in self.fake.models]})
        elif name in self.fake.models:
            self._json(200, self._model(name))
        else:
            self._refuse(Refuses(404, "not_found_error", f"model: {name}"))

    def do_POST(self) -> None:
        length = int(self.headers["content-length"] or -1)
        content = self.rfile.read(max(length, 0))
        if len(content) != length:
            raise ConnectionAbortedError("the client has gone before it had asked")
        body = json.loads(content)
        self._note(body)
        if self.path == "/v1/messages/count_tokens":
            self._count(body)
        elif self.path == "/v1/messages":
            self._answer(body)
        else:
            self._refuse(Refuses(404, "not_found_error", "Not found"))

    def _count(self, body: Json) -> None:
        refused = self.fake.refuses(self._headers(), body, check_count)
        if refused is None and self.fake.counting:
            refused = self.fake.counting.pop(0)
        if refused is not None:
            self._refuse(refused)
        else:
            self._json(200, {"input_tokens": tokens(body)})

    def _answer(self, body: Json) -> None:
        refused = self.fake.refuses(self._headers(), body, check_body)
        says = refused or self.fake.behaviour(body)
        if isinstance(says, Refuses):
            self._refuse(says)
        elif body.get("stream"):
            self._stream(body, says)
        else:
            self._json(200, self._message(body, says))

    def _stream(self, body: Json, says: Says) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("request-id", self.fake.next_id("req"))
        self.end_headers()
        usage = self.fake.usage(body)
        self._event("message_start", {"message": self._empty(body, usage)})
        signature = thought_mark(body["model"], body, body["messages"])
        for index, block in enumerate(says.blocks):
            is_last = index == len(says.blocks) - 1
            deltas = list(_deltas(block, signature))
            if not self._block(index, block, deltas, says.breaks if is_last else None):
                return
        if says.breaks is not None:  # nothing was said that could break off
            self._break(says.breaks)
            return
        output = says.output_tokens or sum(_size(block) for block in says.blocks) + 1
        delta = {"stop_reason": says.reason, "stop_sequence": None}
        delta["stop_details"] = says.stop_details  # type: ignore[assignment]
        self._event("message_delta", {"delta": delta, "usage": {**usage, "output_tokens": output}})
        self._event("message_stop", {})
        self._chunk(b"")

    def _block(self, index: int, block: Block, deltas: list[Json], breaks: Breaks | None) -> bool:
        """Whether the stream goes on after this block."""
        start = _start(block, self.fake.next_id("toolu"))
        self._event("content_block_start", {"index": index, "content_block": start})
        if index == 0:
            self._event("ping", {})
        for delta in deltas[: len(deltas) // 2 + 1] if breaks else deltas:
            self._event("content_block_delta", {"index": index, "delta": delta})
        if breaks is not None:
            self._break(breaks)
            return False
        self._event("content_block_stop", {"index": index})
        return True

    def _break(self, how: Breaks) -> None:
        match how:
            case "stream":
                self._chunk(b"")
            case "overloaded":
                error = {"type": "overloaded_error", "message": "Overloaded"}
                self._event("error", {"error": error})
                self._chunk(b"")
            case "connection":
                self.close_connection = True  # without the last chunk
            case "silence":
                self.fake.stopping.wait()
                self.close_connection = True

    def _event(self, name: str, data: Json) -> None:
        line = json.dumps({"type": name, **data})
        self._chunk(f"event: {name}\ndata: {line}\n\n".encode())

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def _empty(self, body: Json, usage: dict[str, int]) -> Json:
        return {
            "id": self.fake.next_id("msg"),
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**usage, "output_tokens": 1, "service_tier": "standard"},
        }

    def _message(self, body: Json, says: Says) -> Json:
        content = []
        for block in says.blocks:
            whole = _start(block, self.fake.next_id("toolu"))
            match block:
                case Text():
                    whole["text"] = block.text
                case Thinking():
                    whole["thinking"] = block.text
                case ToolCall():
                    whole["input"] = block.input
            content.append(whole)
        ended = {"content": content, "stop_reason": says.reason, "stop_details": says.stop_details}
        return {**self._empty(body, self.fake.usage(body)), **ended}

    def _model(self, name: str) -> Json:
        known = self.fake.models[name]
        return {
            "id": name,
            "type": "model",
            "display_name": name,
            "created_at": "2025-09-29T00:00:00Z",
            "lifecycle": known.lifecycle,
            "retires_at": known.retires_at,
            "max_tokens": known.most_output,
        }

    def _refuse(self, refused: Refuses) -> None:
        request_id = self.fake.next_id("req")
        body = json.dumps(refused.body(request_id)).encode()
        self._respond(refused.status, body, {**refused.headers, "request-id": request_id})

    def _json(self, status: int, body: Json) -> None:
        headers = {"request-id": self.fake.next_id("req")}
        self._respond(status, json.dumps(body).encode(), headers)

    def _respond(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _note(self, body: Json) -> None:
        self.fake.seen.append(Seen(self.path.split("?")[0], self._headers(), body))
