"""What the service counts about itself."""

import resource
import time
from collections import deque
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOUR = 3600.0


class Metrics:
    """Requests, errors and uptime of this process."""

    def __init__(self) -> None:
        self.started_at = datetime.now(UTC)
        self.requests_total = 0
        self.last_activity = self.started_at
        self._started = time.monotonic()
        self._errors: deque[float] = deque(maxlen=100_000)

    @property
    def uptime_seconds(self) -> int:
        """Whole seconds since the start."""
        return int(time.monotonic() - self._started)

    @property
    def errors_last_hour(self) -> int:
        """Answers of 500 and above within the last hour."""
        since = time.monotonic() - _HOUR
        while self._errors and self._errors[0] < since:
            self._errors.popleft()
        return len(self._errors)

    @property
    def requests_per_minute(self) -> float:
        """The average since the start."""
        minutes = max((time.monotonic() - self._started) / 60, 1 / 60)
        return round(self.requests_total / minutes, 2)

    @property
    def memory_mb(self) -> float:
        """The most memory that this process used."""
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)

    @property
    def cpu_percent(self) -> float:
        """The share of one processor used since the start."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        elapsed = max(time.monotonic() - self._started, 0.001)
        return round(min((used.ru_utime + used.ru_stime) / elapsed * 100, 100.0), 2)

    def record(self, status: int) -> None:
        """Count one answer."""
        self.requests_total += 1
        self.last_activity = datetime.now(UTC)
        if status >= 500 and status != 501:
            self._errors.append(time.monotonic())


class MetricsMiddleware:
    """Counts each answer that leaves the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.record(message["status"])
            await send(message)

        await self._app(scope, receive, counted)
