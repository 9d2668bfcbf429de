"""Every error the adapter answers with, in one shape: {"status": "error", "error": {...}}.

Nothing of the request's body comes back in an error: it may be hostile, and it may be secret.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

RETRY_AFTER_SECONDS: dict[int, int] = {
    HTTPStatus.SERVICE_UNAVAILABLE: 5,
    HTTPStatus.TOO_MANY_REQUESTS: 30,
}
_LONGEST_NAME = 64
_MOST_PROBLEMS = 20

_log = logging.getLogger(__name__)


class ApiError(Exception):
    """An answer other than 2xx; `code` is for programs, `message` is a sentence for people."""

    def __init__(
        self, status: int, code: str, message: str, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(status, code, message, details)
        self.status, self.code, self.message = status, code, message
        self.details = dict(details or {})

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"


class PrefectAway(ApiError):
    """Prefect's API does not answer; nothing was changed, or it is safe to ask again."""

    def __init__(self, message: str = "Prefect's API does not answer") -> None:
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, "DEPENDENCY_UNAVAILABLE", message)


class NotRegistered(ApiError):
    """Prefect answers, but does not know the deployment that a build needs."""

    def __init__(self, deployment: str) -> None:
        message = (
            f"Prefect does not know the deployment `{deployment}`: "
            "run `make up`, or `python -m deployments.register`"
        )
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, "NOT_REGISTERED", message)


class QueueFull(ApiError):
    """As many builds wait as may wait; one of them has to start first, or be cancelled."""

    def __init__(self, limit: int) -> None:
        message = f"{limit} builds wait already, which is QUEUE_LIMIT: ask again later"
        super().__init__(HTTPStatus.TOO_MANY_REQUESTS, "QUEUE_FULL", message, {"limit": limit})


def unknown_build(build_id: str) -> ApiError:
    """404, the same for an id that is no UUID and for one that nobody has."""
    shown = build_id if build_id.isascii() and build_id.isprintable() else "?"
    return ApiError(404, "NOT_FOUND", f"there is no build {shown[:_LONGEST_NAME]}")


def wrong_state(status: str, message: str) -> ApiError:
    """409 that names the state the build is in now."""
    return ApiError(409, "WRONG_STATE", f"{message}: it is {status}", {"current_status": status})


def error_response(error: ApiError) -> Response:
    """The error on the wire; escaped to ASCII, so that no text can make the answer itself fail."""
    body = {
        "status": "error",
        "error": {"code": error.code, "message": error.message, "details": error.details},
    }
    seconds = RETRY_AFTER_SECONDS.get(error.status)
    headers = None if seconds is None else {"Retry-After": str(seconds)}
    return Response(
        json.dumps(body), status_code=error.status, media_type="application/json", headers=headers
    )


def install(app: FastAPI) -> None:
    """Make every error of the application answer in the one shape."""

    @app.exception_handler(ApiError)
    async def _api_error(_request: Request, error: ApiError) -> Response:
        return error_response(error)

    @app.exception_handler(HTTPException)
    async def _http_error(_request: Request, error: HTTPException) -> Response:
        answer = error_response(_translated(error))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        problems = _problems(error.errors())
        return error_response(
            ApiError(422, "INVALID_REQUEST", "the request is not valid", {"problems": problems})
        )

    @app.exception_handler(Exception)
    async def _unexpected(_request: Request, error: Exception) -> Response:
        _log.error("unexpected error", exc_info=error)
        return error_response(ApiError(500, "INTERNAL_ERROR", "unexpected error, see the log"))


def _translated(error: HTTPException) -> ApiError:
    codes = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 400: "INVALID_REQUEST"}
    phrase = HTTPStatus(error.status_code).phrase.lower()
    return ApiError(error.status_code, codes.get(error.status_code, "ERROR"), phrase)


def _problems(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [
        {"field": _place(problem["loc"]), "problem": str(problem["msg"])[:200]}
        for problem in errors[:_MOST_PROBLEMS]
    ]


def _place(location: Sequence[object]) -> str:
    return ".".join(str(part)[:_LONGEST_NAME] for part in location)
