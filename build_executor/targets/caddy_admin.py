"""Caddy's admin API, as far as a switch needs it.

The configuration is read and written as a whole, and written only if it is still what was read: so
nobody's changes are lost. Caddy sends the tag for that in a trailer, which HTTP clients drop; hence
h11.
"""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import h11

from build_executor.errors import DeploymentFailed

_CALL_SECONDS = 10.0
_CUT_OFF = (ConnectionResetError, BrokenPipeError)
_TRIES = 20
_POLL_SECONDS = 0.02
_CHUNK = 65_536
_OK = 200
_CHANGED = 412

Json = dict[str, Any]


class Answer(NamedTuple):
    """What Caddy said; `tag` names the state of the configuration."""

    status: int
    text: str
    tag: str | None

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """What the text says; ValueError if it is no JSON."""
        return json.loads(self.text) if self.text.strip() else None


class CaddyAdmin:
    """The API at `url`; `dial` says where a connection to its host:port really goes.

    DeploymentFailed if nobody answers there, or refuses.
    """

    def __init__(self, url: str, dial: Callable[[str], str] = lambda address: address) -> None:
        parts = urlsplit(url)
        self._url, self._dial = url, dial
        self._address = f"{parts.hostname}:{parts.port or 80}"

    def read(self) -> tuple[Json, str]:
        """The whole configuration and its tag."""
        answer = self._get("/config/")
        if answer.tag is None:
            raise DeploymentFailed(f"the Caddy at {self._url} is too old: 2.6 or newer is needed")
        return self._json(answer) or {}, answer.tag

    def write(self, config: Mapping[str, Any], tag: str) -> bool:
        """Replace the whole configuration at once; False if it has to be read again.

        That is when it is not that of `tag` any more, or when it is not known whether it still is:
        Caddy's API begins anew with each change, and whoever it has not heard yet is cut off.
        """
        try:
            answer = self._ask("POST", "/config/", json.dumps(config).encode(), {"if-match": tag})
        except _CUT_OFF:
            return False
        if answer.status not in {_OK, _CHANGED}:
            raise DeploymentFailed(f"Caddy refuses: {_reason(answer)}")
        return answer.status == _OK

    def in_flight(self, upstream: str) -> int:
        """How many requests this upstream has not answered yet."""
        upstreams = self._json(self._get("/reverse_proxy/upstreams")) or []
        return sum(one["num_requests"] for one in upstreams if one["address"] == upstream)

    def metrics(self) -> str:
        """What Prometheus would be told."""
        return self._get("/metrics").text

    def _json(self, answer: Answer) -> Any:  # noqa: ANN401 - JSON
        try:
            return answer.json()
        except ValueError as error:
            raise DeploymentFailed(f"no Caddy answers at {self._url}: {error}") from error

    def _get(self, path: str) -> Answer:
        answer = self._ask_again("GET", path)
        if answer.status != _OK:
            raise DeploymentFailed(f"no Caddy of a known version at {self._url}: {_reason(answer)}")
        return answer

    def _ask_again(self, method: str, path: str) -> Answer:
        for _ in range(_TRIES):
            with contextlib.suppress(*_CUT_OFF):
                return self._ask(method, path)
            time.sleep(_POLL_SECONDS)
        raise DeploymentFailed(f"no Caddy answers at {self._url}: it ends every connection")

    def _ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        try:
            return self._converse(method, path, body, headers or {})
        except _CUT_OFF:
            raise
        except (OSError, h11.ProtocolError) as error:
            raise DeploymentFailed(f"no Caddy answers at {self._url}: {error}") from error

    def _converse(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        host, _, port = self._dial(self._address).rpartition(":")
        client = h11.Connection(h11.CLIENT)
        request = h11.Request(
            method=method,
            target=path,
            headers=[
                ("host", self._address),
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                *headers.items(),
            ],
        )
        with socket.create_connection((host, int(port)), _CALL_SECONDS) as connection:
            for event in (request, h11.Data(body), h11.EndOfMessage()):
                connection.sendall(client.send(event) or b"")
            return _read(client, connection)


def _read(client: h11.Connection, connection: socket.socket) -> Answer:
    status, body, tag = 0, b"", None
    while True:
        match client.next_event():
            case h11.NEED_DATA:
                client.receive_data(_heard(connection))
            case h11.Response(status_code=status):
                pass
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage(headers=trailers):
                tag = next((value.decode() for name, value in trailers if name == b"etag"), None)
                return Answer(status, body.decode(errors="replace"), tag)


def _heard(connection: socket.socket) -> bytes:
    data = connection.recv(_CHUNK)
    if not data:
        raise ConnectionResetError("it ended before it answered")
    return data


def _reason(answer: Answer) -> str:
    try:
        return str(answer.json()["error"])
    except (LookupError, TypeError, ValueError):
        return f"status {answer.status}"
