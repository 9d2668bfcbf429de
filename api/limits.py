"""What a request may be before anybody looks at it: its headers, its size, its speed, its JSON.

Plain ASGI, outside of the framework, so that it holds for every route and for none. JSON that
Prefect's database or another droplet would choke on (NaN, integers over 64 bits, half of a
surrogate pair, deep nesting) is refused here, once.
"""

import asyncio
import json
import math
from typing import Any, NoReturn

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import ApiError, error_response

MOST_BODY_BYTES = 256 * 1024
MOST_HEADER_BYTES = 16 * 1024
MOST_DEPTH = 20
BODY_SECONDS = 10.0
_INTEGER_BITS = 63


class Limits:
    """Answers 431, 413, 408 or 422 itself; hands everything else on, with the body read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; WebSockets and the lifespan are passed through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await _checked_body(scope, receive)
        except ApiError as error:
            await error_response(error)(scope, receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)


async def _checked_body(scope: Scope, receive: Receive) -> bytes:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if sum(len(name) + len(value) for name, value in headers) > MOST_HEADER_BYTES:
        raise ApiError(431, "INVALID_REQUEST", f"headers over {MOST_HEADER_BYTES} bytes")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read(receive)
    except TimeoutError as error:
        raise ApiError(408, "INVALID_REQUEST", f"body not here in {BODY_SECONDS:.0f} s") from error
    if body and b"json" in dict(headers).get(b"content-type", b"").lower():
        parse_json(body)
    return body


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BODY_BYTES:
            raise ApiError(413, "INVALID_REQUEST", f"body over {MOST_BODY_BYTES} bytes")
        more = message["type"] == "http.request" and message.get("more_body", False)
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - a JSON boundary
    """The JSON value of a body; ApiError 422 for anything that not everybody could read."""
    try:
        value = json.loads(
            body.decode("utf-8"),
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_small,
            object_pairs_hook=_unique,
        )
        _check_depth(value, MOST_DEPTH)
    except (ValueError, RecursionError) as error:
        raise ApiError(422, "INVALID_REQUEST", "the body is not acceptable JSON") from error
    return value


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("not JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _small(text: str) -> int:
    number = int(text)
    return number if number.bit_length() <= _INTEGER_BITS else _refuse(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _refuse("")


def _check_depth(value: object, left: int) -> None:
    if left == 0:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        value.encode("utf-8")  # UnicodeEncodeError, a ValueError, for half a surrogate pair
        return
    if isinstance(value, dict):
        for name in value:
            name.encode("utf-8")
    for item in value.values() if isinstance(value, dict) else _items(value):
        _check_depth(item, left - 1)


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []
