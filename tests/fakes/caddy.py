"""Caddy's admin API without the Caddy: it keeps a configuration and forwards nothing.

The tag of a configuration is sent in a trailer and has to be given back, as with the real one;
tests/build_executor/targets/test_caddy.py asks both.
"""

import json
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Json = Any
"""What JSON can say."""


class FakeCaddy:
    """`in_flight` is what it says of its upstreams; the next requests meet `faults`, one each.

    A fault is `end`, `garbage`, `untagged`, `error`, `page`, `changed` by somebody else, or `none`.
    """

    def __init__(self, config: Json = None) -> None:
        self.config = config
        self.in_flight: dict[str, list[int]] = {}
        self.metrics = ""
        self.faults: list[str] = []
        self.writes = 0

    def __enter__(self) -> Self:
        handler = type("OwnHandler", (_Handler,), {"caddy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.admin = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def tag(self) -> str:
        return f'"/config/ {zlib.crc32(json.dumps(self.config).encode()):x}"'

    def upstreams(self) -> Json:
        return [
            {"address": address, "num_requests": left.pop(0) if left else 0, "fails": 0}
            for address, left in self.in_flight.items()
        ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    caddy: FakeCaddy

    def do_GET(self) -> None:
        fault = self._fault()
        if fault in {"error", "page"}:
            self._say(404, {"error": "unknown path"} if fault == "error" else "<p>")
        elif self.path == "/metrics":
            self._send(200, self.caddy.metrics.encode())
        elif fault == "no json":
            self._send(200, b"<p>", self.caddy.tag())
        elif fault in {None, "untagged"}:
            is_config = self.path == "/config/"
            said = self.caddy.config if is_config else self.caddy.upstreams()
            self._say(200, said, tag=self.caddy.tag() if is_config and not fault else None)

    def do_POST(self) -> None:
        wanted = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if (fault := self._fault()) == "changed":
            self.caddy.config = {**(self.caddy.config or {}), "logging": self.caddy.tag()}
        elif fault == "error":
            self._say(500, {"error": "listen tcp: address already in use"})
            return
        elif fault is not None:
            return
        if self.headers["if-match"] != self.caddy.tag():
            self._say(412, {"error": "If-Match header did not match current config hash"})
            return
        self.caddy.config = wanted
        self.caddy.writes += 1
        self._say(200, None)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    def _fault(self) -> str | None:
        fault = self.caddy.faults.pop(0) if self.caddy.faults else None
        if fault in {"end", "garbage"}:
            self.close_connection = True
            if fault == "garbage":
                self.wfile.write(b"hello\r\n\r\n")
        return None if fault == "none" else fault

    def _say(self, status: int, said: Json, tag: str | None = None) -> None:
        text = b"" if status == 200 and self.command == "POST" else json.dumps(said).encode()
        self._send(status, text, tag)

    def _send(self, status: int, text: bytes, tag: str | None = None) -> None:
        trailer = f"etag: {tag}\r\n".encode() if tag else b""
        chunks = b"%x\r\n%s\r\n" % (len(text), text) if text else b""
        head = b"HTTP/1.1 %d X\r\ntrailer: etag\r\ntransfer-encoding: chunked\r\n\r\n" % status
        self.wfile.write(head + chunks + b"0\r\n" + trailer + b"\r\n")
