import contextlib
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from api.errors import ApiError
from api.limits import MOST_BODY_BYTES, MOST_DEPTH, Limits, parse_json


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body it was given."""
    message = await receive()
    assert scope["type"] == "http"
    assert not message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


async def post(content: bytes | AsyncIterator[bytes], **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(Limits(echo))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.post("/", content=content, headers=headers)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_body_within_the_limits_arrives_unchanged() -> None:
    body = json.dumps({"a": "ä" * 1000}).encode()

    answer = await post(body, **{"content-type": "application/json"})

    assert answer.content == body


@pytest.mark.anyio
async def test_a_body_over_the_limit_is_refused() -> None:
    answer = await post(b"x" * (MOST_BODY_BYTES + 1))

    assert answer.status_code == 413
    assert answer.json()["status"] == "error"


@pytest.mark.anyio
async def test_a_body_that_does_not_say_how_long_it_is_is_cut_off() -> None:
    taken = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            taken.append(1)
            yield b"x" * 65_536

    answer = await post(endless())

    assert answer.status_code == 413
    assert len(taken) <= 6


@pytest.mark.anyio
async def test_headers_over_the_limit_are_refused() -> None:
    answer = await post(b"", **{"x-long": "x" * 17_000})

    assert answer.status_code == 431


BAD_JSON = {
    "empty text": b" ",
    "cut off": b'{"a": ',
    "not a number": b'{"a": NaN}',
    "infinite": b'{"a": -Infinity}',
    "over every float": b'{"a": 1e999}',
    "over 64 bits": b'{"a": 18446744073709551616}',
    "thousands of digits": b'{"a": ' + b"9" * 5000 + b"}",
    "the same name twice": b'{"a": 1, "a": 2}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "no UTF-8": b'{"a": "\xff"}',
    "half a surrogate pair": b'{"a": "\\ud800"}',
    "half a surrogate pair as a name": b'{"\\udfff": 1}',
    "nested too deeply": b"[" * (MOST_DEPTH + 1) + b"]" * (MOST_DEPTH + 1),
    "nested 100,000 times": b"[" * 100_000 + b"]" * 100_000,
    "NUL": b'{"a": 1}\x00',
}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON.keys())
def test_json_that_not_everybody_could_read_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        parse_json(body)

    assert refused.value.status == 422


@pytest.mark.anyio
async def test_bad_json_is_refused_before_the_application_sees_it() -> None:
    answer = await post(b"{", **{"content-type": "application/json; charset=utf-8"})

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "INVALID_REQUEST"


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_value_or_a_422(body: bytes) -> None:
    with contextlib.suppress(ApiError):
        json.dumps(parse_json(body)).encode()


def test_ordinary_json_is_read() -> None:
    assert parse_json(b'{"a": [1, 2.5, null, true, "\\u00e4"]}') == {"a": [1, 2.5, None, True, "ä"]}
