"""Whether Claude can be asked, and what it has cost: for `/health`, `/capabilities` and `/state`.

A look-up of the model costs nothing and proves the address, the key and the model. It is made in
the background once in a while, never by the request that wants to know.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx

from build_executor.claude_models import known, retirement, table
from build_executor.errors import CostCeilingReached
from build_executor.settings import Settings
from build_executor.spending import today

_API_VERSION = "2026-10-21"
_LOOK_UP_SECONDS = 10.0
_FIRST_ANSWER_SECONDS = 0.8  # `/health` answers within about a second
_FRESH_SECONDS = 300.0
_FRESH_WHILE_AWAY_SECONDS = 20.0
_NOT_FOUND = 404
_REFUSED = frozenset({401, 402, 403})

_log = logging.getLogger(__name__)


class ClaudeApi(StrEnum):
    """The product specification's `claude_api`."""

    CONNECTED = "connected"
    UNAVAILABLE = "unavailable"
    NOT_CONFIGURED = "not_configured"


@dataclass(frozen=True)
class Standing:
    """What the last look-up found, in a word and in a sentence."""

    word: ClaudeApi
    detail: str = ""


class Watch:
    """Keeps an eye on the configured models; without a key it asks nobody."""

    def __init__(
        self,
        settings: Settings,
        http: httpx.AsyncClient,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._http, self._clock = settings, http, clock
        self._standing = Standing(ClaudeApi.UNAVAILABLE, "not asked yet")
        self._asked_at: float | None = None
        self._asking: asyncio.Task[None] | None = None
        if settings.anthropic_api_key is not None:
            self._warn()

    async def standing(self) -> Standing:
        """What is known; only the very first reader waits a little for it."""
        if self._settings.anthropic_api_key is None:
            return Standing(ClaudeApi.NOT_CONFIGURED, "ANTHROPIC_API_KEY is not set")
        if self._is_stale() and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask())
        if self._asked_at is None and self._asking is not None:
            await asyncio.wait({self._asking}, timeout=_FIRST_ANSWER_SECONDS)
        return self._standing

    async def close(self) -> None:
        """End a look-up that is under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    def _is_stale(self) -> bool:
        if self._asked_at is None:
            return True
        is_there = self._standing.word is ClaudeApi.CONNECTED
        fresh = _FRESH_SECONDS if is_there else _FRESH_WHILE_AWAY_SECONDS
        return self._clock() - self._asked_at > fresh

    async def _ask(self) -> None:
        self._standing = await look_up(self._settings, self._http)
        self._asked_at = self._clock()

    def _warn(self) -> None:
        for model in models(self._settings):
            if warning := retirement(model):
                _log.warning("%s", warning)


def open_http() -> httpx.AsyncClient:
    """A client for the provider: through the proxies of the environment, as the builds' own."""
    return httpx.AsyncClient(timeout=_LOOK_UP_SECONDS)


def models(settings: Settings) -> tuple[str, ...]:
    """The models that builds ask, in order."""
    return tuple(dict.fromkeys((settings.claude_model, *settings.claude_fallback_models)))


async def look_up(settings: Settings, http: httpx.AsyncClient) -> Standing:
    """The first model of the list that is there, or why there is none."""
    gone: list[str] = []
    for model in models(settings):
        try:
            answer = await http.get(_address(settings, model), headers=_headers(settings))
        except httpx.HTTPError as error:
            return Standing(ClaudeApi.UNAVAILABLE, f"no answer: {type(error).__name__}")
        if answer.is_success:
            detail = f"{', '.join(gone)} is gone, {model} is asked" if gone else f"{model} is there"
            return Standing(ClaudeApi.CONNECTED, detail)
        if answer.status_code != _NOT_FOUND:
            return Standing(ClaudeApi.UNAVAILABLE, _why(answer.status_code))
        gone.append(model)
    return Standing(ClaudeApi.UNAVAILABLE, f"gone: {', '.join(gone)}")


def capabilities(settings: Settings) -> dict[str, Any]:
    """What `/capabilities` says of the models; the table that knows it is dated."""
    facts = known(settings.claude_model)
    retires = facts.retires_on if facts is not None else None
    return {
        "claude_model": settings.claude_model,
        "claude_deprecated_on": retires.isoformat() if retires else None,
        "claude_replacement": facts.replacement if facts is not None else None,
        "claude_fallback_models": list(settings.claude_fallback_models),
        "claude_prices_as_of": table().as_of.isoformat(),
    }


def spent_today(settings: Settings) -> dict[str, Any]:
    """What `/state` says of the day's cost; null where it is not known."""
    ceiling = settings.claude_day_dollars
    try:
        day = today(settings.spending)
    except CostCeilingReached:
        return {"calls": None, "dollars": None, "counted_dollars": None, "ceiling_dollars": ceiling}
    return {
        "calls": day.total.calls,
        "dollars": day.total.dollars,
        "counted_dollars": day.counted_dollars,
        "ceiling_dollars": ceiling,
        "usage": day.total.usage.model_dump(),
    }


def _address(settings: Settings, model: str) -> str:
    return f"{str(settings.anthropic_base_url).rstrip('/')}/v1/models/{model}"


def _headers(settings: Settings) -> dict[str, str]:
    key = settings.anthropic_api_key
    secret = key.get_secret_value() if key is not None else ""
    return {"authorization": f"Bearer {secret}", "anthropic-version": _API_VERSION}


def _why(status: int) -> str:
    return "the key is not accepted" if status in _REFUSED else f"answers with {status}"
