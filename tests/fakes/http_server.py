"""A real HTTP server on loopback for fakes, with the ways in which a real peer fails."""

import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Json = Any
"""What peers send each other: anything JSON can say."""

Answer = tuple[int, Json]


class Fault(StrEnum):
    """How a peer fails instead of answering."""

    SERVER_ERROR = "500"
    NOT_FOUND = "404"
    HTML = "a page instead of JSON"
    GARBAGE = "bytes instead of HTTP"
    WRONG_SCHEMA = "JSON of another kind"
    RESET = "connection reset"
    REDIRECT = "sends elsewhere"
    HUGE = "2 MiB"
    DRIP = "a byte at a time"
    HANG = "silence"


@dataclass
class Request:
    method: str
    path: str
    body: Json


@dataclass
class FakeServer:
    """Answers with `respond`; the next requests fail as `faults` says, one each."""

    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), type("OwnHandler", (Handler,), {"fake": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def stopping(self) -> threading.Event:
        return self._stopping

    def respond(self, method: str, path: str, body: Json) -> Answer:
        raise NotImplementedError

    def calls(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A peer that went away is part of some tests."""


class Handler(BaseHTTPRequestHandler):
    """One request; `fake` is set by the subclass that a server makes of it."""

    fake: FakeServer
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(text) if text else None
        path = self.path.split("?")[0]
        self.fake.requests.append(Request(self.command, path, body))
        fault = self.fake.faults.pop(0) if self.fake.faults else self.fake.always
        if fault is not None:
            _FAULTS[fault](self, self.fake)
            return
        status, content = self.fake.respond(self.command, path, body)
        self.send(status, json.dumps(content).encode() if content is not None else b"")

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any  # noqa: N815 - http.server's

    def send(self, status: int, content: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == 302:
            self.send_header("Location", f"{self.fake.url}/elsewhere")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Tests are silent."""


def _reset(handler: Handler, _: FakeServer) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def _raw(text: bytes) -> Callable[[Handler, FakeServer], None]:
    def write(handler: Handler, _: FakeServer) -> None:
        handler.wfile.write(text)
        handler.close_connection = True

    return write


def _drip(handler: Handler, fake: FakeServer) -> None:
    handler.close_connection = True
    for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000:
        try:
            handler.wfile.write(bytes([letter]))
        except OSError:
            return
        if fake.stopping.wait(0.02):
            return


def _hang(handler: Handler, fake: FakeServer) -> None:
    handler.close_connection = True
    fake.stopping.wait(20)


_FAULTS: dict[Fault, Callable[[Handler, FakeServer], None]] = {
    Fault.SERVER_ERROR: lambda handler, _: handler.send(500, b'{"detail":"broken"}'),
    Fault.NOT_FOUND: lambda handler, _: handler.send(404, b'{"detail":"Not Found"}'),
    Fault.HTML: lambda handler, _: handler.send(200, b"<html>hello</html>", "text/html"),
    Fault.GARBAGE: _raw(b"\x16\x03\x01 what is this\r\n\r\n"),
    Fault.WRONG_SCHEMA: lambda handler, _: handler.send(200, b'["a", 1]'),
    Fault.RESET: _reset,
    Fault.REDIRECT: lambda handler, _: handler.send(302, b""),
    Fault.HUGE: lambda handler, _: handler.send(200, b'"' + b"x" * 2_000_000 + b'"'),
    Fault.DRIP: _drip,
    Fault.HANG: _hang,
}
