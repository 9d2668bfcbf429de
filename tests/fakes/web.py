"""A web service with what switches find hard: bodies, slow answers, errors and WebSockets."""

import base64
import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebService:
    """Answers with its name as `release`; `/slow` waits for `go_on`, `/stream` is a WebSocket."""

    def __init__(self, name: str, port: int = 0) -> None:
        self.name = name
        self.is_asked, self.go_on = threading.Event(), threading.Event()
        self.is_left = threading.Event()
        self._server = _Server(("127.0.0.1", port), type("OwnHandler", (_Handler,), {"web": self}))
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for one in self._server.clients:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, *arguments: object) -> None:
        self.clients: list[socket.socket] = []
        super().__init__(*arguments)  # type: ignore[arg-type]

    def get_request(self) -> tuple[socket.socket, Any]:
        accepted: tuple[socket.socket, Any] = super().get_request()
        self.clients.append(accepted[0])
        return accepted

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    web: WebService

    def do_GET(self) -> None:
        if self.path == "/stream":
            self._talk()
            return
        if self.path == "/slow":
            self.web.is_asked.set()
            self.web.go_on.wait(30)
        self._answer(HTTPStatus.INTERNAL_SERVER_ERROR if self.path == "/broken" else HTTPStatus.OK)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(HTTPStatus.CREATED)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    def _answer(self, status: HTTPStatus) -> None:
        body = json.dumps({"release": self.web.name}).encode()
        head = f"HTTP/1.1 {status.value} X\r\ncontent-length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)  # at once: a client may leave between two writes

    def _talk(self) -> None:
        key = self.headers["sec-websocket-key"] + _WEBSOCKET
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()  # noqa: S324 - RFC 6455
        head = "HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        self.wfile.write(f"{head}sec-websocket-accept: {accept}\r\n\r\n".encode())
        for opcode, payload in self._frames():
            self.wfile.write(bytes([opcode, len(payload)]) + payload)
        self.web.is_left.set()
        self.close_connection = True

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        """What short frames say, to the close frame or the end."""
        while head := self.rfile.read(2):
            mask, masked = self.rfile.read(4), self.rfile.read(head[1] & 0x7F)
            yield head[0], bytes(byte ^ mask[i % 4] for i, byte in enumerate(masked))
            if head[0] & 0x0F == 8:
                return
