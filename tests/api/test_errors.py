import asyncio
import json

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict

from api.errors import ApiError, NotRegistered, PrefectAway, error_response, install, unknown_build


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int


def application() -> FastAPI:
    app = FastAPI()
    install(app)

    @app.post("/number")
    async def number(body: Strict) -> int:
        return body.number

    @app.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError("secret")

    @app.get("/away")
    async def away() -> None:
        raise PrefectAway

    return app


def ask(method: str, path: str, body: object = None) -> httpx.Response:
    async def asking() -> httpx.Response:
        transport = httpx.ASGITransport(application(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, json=body)

    return asyncio.run(asking())


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nothing", None, 404, "NOT_FOUND"),
        ("GET", "/number", None, 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/number", {}, 422, "INVALID_REQUEST"),
        ("GET", "/bug", None, 500, "INTERNAL_ERROR"),
        ("GET", "/away", None, 503, "DEPENDENCY_UNAVAILABLE"),
    ],
)
def test_every_error_has_the_specified_shape(
    method: str, path: str, body: object, status: int, code: str
) -> None:
    answer = ask(method, path, body)

    shape = answer.json()
    assert answer.status_code == status
    assert (shape["status"], shape["error"]["code"]) == ("error", code)
    assert set(shape["error"]) == {"code", "message", "details"}


def test_values_never_come_back() -> None:
    answer = ask("POST", "/number", {"number": "canary"})

    assert "canary" not in answer.text
    assert answer.json()["error"]["details"]["problems"][0]["field"] == "body.number"


def test_a_bug_does_not_say_what_it_was() -> None:
    assert "secret" not in ask("GET", "/bug").text


def test_away_says_when_to_ask_again_and_the_rest_does_not() -> None:
    assert ask("GET", "/away").headers["retry-after"] == "5"
    assert "retry-after" not in ask("GET", "/nothing").headers


@pytest.mark.parametrize("text", ["\ud800", "\x00", "a" * 10_000, "ünï"])
def test_no_text_can_make_the_answer_itself_fail(text: str) -> None:
    answer = error_response(unknown_build(text))

    assert json.loads(bytes(answer.body))["error"]["code"] == "NOT_FOUND"
    assert len(answer.body) < 300


def test_errors_read_as_sentences() -> None:
    assert str(ApiError(409, "X", "no")) == "409 X: no"
    assert "make up" in str(NotRegistered("build-service/local"))
