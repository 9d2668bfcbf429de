"""Bodies that are JSON by the letter, but that nobody could read back."""

import json
from typing import Any, NoReturn

from fastapi import Request
from starlette.requests import HTTPConnection

from app.errors import ServiceError

_DEEPEST = 64


class UnusableBodyError(ServiceError):
    """The body holds what JSON has no word for."""

    status_code = 422


async def refuse_unusable(connection: HTTPConnection) -> None:
    """Refuse numbers that are none, half characters, and nesting without end."""
    body = await connection.body() if isinstance(connection, Request) else b""
    if not body:
        return
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        is_deep = _depth(value) > _DEEPEST
    except (ValueError, RecursionError) as error:
        raise UnusableBodyError("the body is not usable JSON") from error
    if is_deep:
        raise UnusableBodyError("the body is nested too deeply")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(_depth, inner), default=0)
