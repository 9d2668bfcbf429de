"""How long the adapter waits for a Prefect that is busy, and when it stops.

Prefect's SQLite answers 503 under bursts, and tenths of a second later it serves the same request.
"""

import asyncio
import random

import httpx

from api.errors import PrefectAway

_BUSY = frozenset({408, 429, 502, 503})
_DROPPED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
_WRITES = ("/create_flow_run", "/set_state", "/resume")


class PatientTransport(httpx.AsyncHTTPTransport):
    """Repeats what Prefect was too busy for; says at once when nobody answers.

    Prefect's client would wait 2, 4, 8, ... seconds for both.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer once there is one within the request's budget; else PrefectAway."""
        seconds = 20.0 if request.url.path.endswith(_WRITES) else 5.0
        try:
            async with asyncio.timeout(seconds):
                return await self._until_served(request)
        except (TimeoutError, httpx.TransportError) as error:
            raise PrefectAway from error

    async def _until_served(self, request: httpx.Request) -> httpx.Response:
        delay, drops = 0.05, 0
        while True:
            try:
                response = await super().handle_async_request(request)
            except _DROPPED:
                drops += 1
                if drops == 3:  # noqa: PLR2004 - a kept-alive connection may be closed once or twice
                    raise
                continue
            if response.status_code not in _BUSY:
                return response
            await response.aclose()
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            delay = min(delay * 2, 0.8)
