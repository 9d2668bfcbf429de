import asyncio

import pytest

from api.state import Remembered, Telemetry

pytestmark = pytest.mark.full


class Clock:
    """Time that stands still until it is told to pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_requests_and_errors_are_counted() -> None:
    telemetry = Telemetry(Clock())

    for status in (200, 404, 500, 503):
        telemetry.count(status)

    assert telemetry.requests_total == 4
    assert telemetry.errors_last_hour == 2
    assert telemetry.requests_per_minute == 4


def test_errors_are_forgotten_after_an_hour_and_uptime_is_not() -> None:
    clock = Clock()
    telemetry = Telemetry(clock)
    telemetry.count(500)

    clock.now += 3601

    assert telemetry.errors_last_hour == 0
    assert telemetry.requests_per_minute == 0
    assert telemetry.uptime_seconds == 3601


def test_many_who_ask_at_once_cause_one_load() -> None:
    loads = []

    async def load() -> int:
        loads.append(1)
        await asyncio.sleep(0)
        return len(loads)

    async def asking() -> list[int]:
        remembered = Remembered(load, 60)
        return await asyncio.gather(*(remembered.get() for _ in range(10)))

    assert asyncio.run(asking()) == [1] * 10


def test_what_failed_is_asked_again() -> None:
    answers: list[ValueError | int] = [ValueError("away"), 7]

    async def load() -> int:
        answer = answers.pop(0)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    async def asking() -> int:
        remembered = Remembered(load, 60)
        with pytest.raises(ValueError, match="away"):
            await remembered.get()
        return await remembered.get()

    assert asyncio.run(asking()) == 7
