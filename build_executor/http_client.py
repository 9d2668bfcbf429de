"""HTTP to services that may be slow, broken or hostile: every call is bounded in time and size.

httpx bounds each read, not the whole answer: a peer that sends a byte a second would hold a phase
for hours. So a timer ends the connection when a call's time is over. No redirect is followed (a
peer must not send us elsewhere), no encoding is accepted (nothing to inflate), and the environment
is not asked for proxies.
"""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import JsonValue

from build_executor.errors import NoAnswer
from build_executor.models import Value

_LARGEST_ANSWER = 1024 * 1024
_CALL_SECONDS = 5.0
_EXCERPT = 300


class Answer(Value):
    """What a service answered; `body` is None if it is not JSON."""

    status: int
    body: JsonValue = None
    excerpt: str = ""
    duration_ms: float = 0

    @property
    def fields(self) -> dict[str, JsonValue]:
        """The body if it is an object, else an empty one."""
        return self.body if isinstance(self.body, dict) else {}


class HttpClient:
    """Calls one service; a context manager, because it holds connections."""

    def __init__(self, base_url: str, *, call_seconds: float = _CALL_SECONDS) -> None:
        self.base_url = base_url.rstrip("/")
        self.token: str | None = None
        self._seconds = call_seconds
        self._http = httpx.Client(
            timeout=call_seconds,
            verify=_trust(self.base_url),
            trust_env=False,
            follow_redirects=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "build-executor"},
            limits=httpx.Limits(max_keepalive_connections=0),  # each call shows us its socket
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give its connections back."""
        self._http.close()

    def authorize(self, token: str) -> None:
        """Send this bearer token with every call from now on."""
        self.token = token
        self._http.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Answer:
        """The answer to a GET; NoAnswer if there is none in time, or it is larger than 1 MiB."""
        return self.call("GET", path, query=query)

    def call(
        self,
        method: str,
        path: str,
        body: JsonValue = None,
        query: Mapping[str, Any] | None = None,
    ) -> Answer:
        """The answer to a call; `body` is sent as JSON unless it is None."""
        started = time.monotonic()
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if content else {}
        request = self._http.build_request(
            method, self.base_url + path, params=query, content=content, headers=headers
        )
        status, text = self._exchange(request)
        return Answer(
            status=status,
            body=_parsed(text),
            excerpt=text[:_EXCERPT].decode("utf-8", "replace"),
            duration_ms=round((time.monotonic() - started) * 1000, 1),
        )

    def _exchange(self, request: httpx.Request) -> tuple[int, bytes]:
        with _cut_after(self._seconds, request) as late:
            try:
                response = self._http.send(request, stream=True)
                with contextlib.closing(response):
                    return response.status_code, _bounded(response)
            except (httpx.HTTPError, httpx.InvalidURL, OSError, _TooLarge) as error:
                over = f"no whole answer in {self._seconds:g} s" if late.is_set() else None
                reason = over or str(error) or type(error).__name__
                raise NoAnswer(request.method, str(request.url), reason) from error


def _trust(url: str) -> ssl.SSLContext:
    """The system's authorities; reading them takes longer than a call, so only where needed."""
    if url.startswith("https:"):
        return ssl.create_default_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class _TooLarge(Exception):
    """The answer is larger than we read."""


@contextlib.contextmanager
def _cut_after(seconds: float, request: httpx.Request) -> Iterator[threading.Event]:
    """Shut the connection of `request` down after `seconds`; a blocked read ends then."""
    sockets: list[socket.socket] = []
    late = threading.Event()

    def remember(event: str, details: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            sockets.append(details["return_value"].get_extra_info("socket"))

    def cut() -> None:
        late.set()
        for connection in sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    request.extensions = {**request.extensions, "trace": remember}
    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _bounded(response: httpx.Response) -> bytes:
    text = bytearray()
    for chunk in response.iter_raw():
        text += chunk
        if len(text) > _LARGEST_ANSWER:
            raise _TooLarge("the answer is larger than 1 MiB")
    return bytes(text)


def _parsed(text: bytes) -> JsonValue:
    try:
        parsed: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed
