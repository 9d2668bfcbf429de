"""One connection to the Messages API: the only module that imports the provider's client.

That import takes seconds, so this module itself is imported only when there is something to ask.
The client's own retries are off: it would wait as long as it is told to, and it does not see what
fails in mid-stream. Its telemetry and its search for credentials are off too.
"""

import warnings
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import anthropic
import httpx2

from build_executor.generators.claude.faults import CallFailed, Endpoint, Fault
from build_executor.generators.claude.request import Json, countable

_BUSY = frozenset({408, 409, 429})
_KEY = frozenset({401, 402, 403})
_NOT_FOUND, _TOO_LARGE, _SERVER_ERROR = 404, 413, 500
_OK = 200


class Connection:
    """A client for the length of one question."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._client = anthropic.AsyncAnthropic(
            api_key=endpoint.key,
            base_url=endpoint.url,
            max_retries=0,
            timeout=httpx2.Timeout(endpoint.silence_seconds, connect=endpoint.connect_seconds),
            open_telemetry=False,
        )

    async def __aenter__(self) -> Self:
        """Nothing is sent before the first call."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._client.close()

    async def count(self, body: Json) -> int:
        """How many tokens the prompt of this request has; it costs nothing."""
        try:
            with _without_notices():
                counted = await self._client.messages.count_tokens(**countable(body))
        except anthropic.APIError as error:
            raise _failure(error) from error
        return counted.input_tokens

    async def events(self, body: Json) -> AsyncIterator[Json]:
        """The events of the streamed answer; CallFailed if there is none, or it breaks off."""
        try:
            with _without_notices():
                stream = await self._client.messages.create(**body, stream=True)
        except anthropic.APIError as error:
            raise _failure(error) from error
        try:
            async for event in stream:
                yield event.to_dict(warnings=False)  # a newer API has kinds this client lacks
        except anthropic.APIError as error:
            raise _failure(error) from error
        except (httpx2.HTTPError, ValueError) as error:
            raise CallFailed(Fault.CUT, f"the stream broke off: {error}", is_free=False) from error
        finally:
            await stream.close()


def _without_notices() -> "warnings.catch_warnings[None]":
    """Retirements are said once, in our own words, and not on every call."""
    return warnings.catch_warnings(action="ignore", category=DeprecationWarning)


def _failure(error: anthropic.APIError) -> CallFailed:
    if isinstance(error, anthropic.APIStatusError):
        return _refusal(error)
    reached = isinstance(error.__cause__, httpx2.ReadTimeout | httpx2.RemoteProtocolError)
    cause = f": {error.__cause__}" if error.__cause__ else ""
    return CallFailed(Fault.UNREACHABLE, f"{error.message}{cause}", is_free=not reached)


def _refusal(error: anthropic.APIStatusError) -> CallFailed:
    said = f"{error.type or 'HTTP'} {error.status_code}: {error.api_message or error.message}"
    message = f"{said[:500]} (request {error.request_id})" if error.request_id else said[:500]
    is_free = error.status_code != _OK
    return CallFailed(_fault(error), message, _wait(error), is_free=is_free)


def _fault(error: anthropic.APIStatusError) -> Fault:
    status = error.status_code
    if status == _NOT_FOUND:
        return Fault.GONE if error.type == "not_found_error" else Fault.UNREACHABLE
    if status in _KEY:
        return Fault.KEY
    if status in _BUSY or status >= _SERVER_ERROR or status == _OK:
        return Fault.BUSY
    too_long = status == _TOO_LARGE or "too long" in str(error.api_message)
    return Fault.TOO_LONG if too_long else Fault.REJECTED


def _wait(error: anthropic.APIStatusError) -> float | None:
    for header, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return float(error.response.headers[header]) / unit
        except (KeyError, ValueError):
            continue
    return None
