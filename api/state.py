"""What one running adapter holds: its settings, its clients, and its own counters."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

import httpx
from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.claude import Watch
from api.counting import Counts
from api.gateway import Gateway
from api.schemas import BuildSummary
from build_executor.artifacts import ArtifactStore
from build_executor.settings import Settings

_HOUR = 3600
_MINUTE = 60
_SERVER_ERROR = 500

T = TypeVar("T")


class Telemetry:
    """Counts of this process's own requests and errors, from its start on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.started_at = datetime.now(UTC)
        self.requests_total = 0
        self._clock, self._began = clock, clock()
        self._errors: deque[float] = deque(maxlen=10_000)
        self._per_minute: Counter[int] = Counter()

    def count(self, status: int) -> None:
        """One answered request; 5xx counts as an error."""
        self.requests_total += 1
        minute = int(self._clock() // _MINUTE)
        self._per_minute = Counter(
            {key: value for key, value in self._per_minute.items() if key >= minute - 1}
        )
        self._per_minute[minute] += 1
        if status >= _SERVER_ERROR:
            self._errors.append(self._clock())

    @property
    def uptime_seconds(self) -> int:
        """Whole seconds since this process began to serve."""
        return int(self._clock() - self._began)

    @property
    def errors_last_hour(self) -> int:
        """Answers of 5xx in the last sixty minutes."""
        since = self._clock() - _HOUR
        return sum(moment >= since for moment in self._errors)

    @property
    def requests_per_minute(self) -> int:
        """Requests of the last full minute, or of the present one if there were more."""
        minute = int(self._clock() // _MINUTE)
        return max(self._per_minute[minute - 1], self._per_minute[minute])


class Counted:
    """ASGI: tell the telemetry of every answer."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app, self._telemetry = app, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._telemetry.count(message["status"])
            await send(message)

        await self._app(scope, receive, counted if scope["type"] == "http" else send)


class Remembered(Generic[T]):
    """A value that is loaded at most once in so many seconds, however many ask for it."""

    def __init__(self, load: Callable[[], Awaitable[T]], seconds: float) -> None:
        self._load, self._seconds = load, seconds
        self._lock = asyncio.Lock()
        self._loaded: tuple[float, T] | None = None

    async def get(self) -> T:
        """The value; what `load` raises is raised, and nothing is remembered then."""
        async with self._lock:
            now = time.monotonic()
            if self._loaded is None or now - self._loaded[0] > self._seconds:
                self._loaded = (now, await self._load())
            return self._loaded[1]


@dataclass(frozen=True)
class Adapter:
    """Everything a route needs; made when the application starts."""

    settings: Settings
    gateway: Gateway
    store: ArtifactStore
    telemetry: Telemetry
    http: httpx.AsyncClient
    claude: Watch
    median_seconds: Remembered[float]
    active_builds: Remembered[tuple[int, int]]
    counts: Counts
    ended: dict[str, BuildSummary] = field(default_factory=dict)


def adapter(connection: HTTPConnection) -> Adapter:
    """The adapter of the application that serves this request."""
    found: Adapter = connection.app.state.adapter
    return found


AdapterDep = Annotated[Adapter, Depends(adapter)]
