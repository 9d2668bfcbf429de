"""How many builds there are of each status, without asking Prefect for each status each time.

Builds under way are few, so they are read and told apart here. Builds that are over are many; their
numbers are remembered for a second and only while the same builds are under way, because a number
can only change when a build ends, and then it was among them a moment ago.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

from api.gateway import PAGE_LIMIT, Gateway
from api.projection import ACTIVE, STATUS_OF, status_of
from api.runs import Page, RunFilter, StateType
from build_executor.phases import BuildStatus

_ENDED = ((StateType.COMPLETED,), (StateType.FAILED, StateType.CRASHED), (StateType.CANCELLED,))
_REMEMBERED_SECONDS = 1.0
_MOST_SERVICES = 1000

Key = frozenset[str]
Numbers = Counter[BuildStatus]


_NOTHING: tuple[float, Key, Numbers] = (float("-inf"), frozenset(), Counter())


class Counts:
    """Numbers of builds by status, of one service or of all."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._remembered: dict[str | None, tuple[float, Key, Numbers]] = {}

    async def of(self, service: str | None) -> dict[str, int]:
        """One number for each status."""
        which = RunFilter(types=ACTIVE, service=service)
        active = await self._gateway.list_builds(which, Page(limit=PAGE_LIMIT))
        if len(active) == PAGE_LIMIT:
            numbers = await self._count([(state,) for state in ACTIVE], service)
        else:
            numbers = Counter(status_of(run) for run in active)
        ended = await self._ended(service, frozenset(run.id for run in active))
        return {status.value: numbers[status] + ended[status] for status in BuildStatus}

    async def _ended(self, service: str | None, active: Key) -> Numbers:
        now = time.monotonic()
        asked, key, numbers = self._remembered.get(service, _NOTHING)
        if key == active and now - asked < _REMEMBERED_SECONDS:
            return numbers
        numbers = await self._count(_ENDED, service)
        if len(self._remembered) > _MOST_SERVICES:
            self._remembered.clear()
        self._remembered[service] = (now, active, numbers)
        return numbers

    async def _count(self, groups: Sequence[tuple[StateType, ...]], service: str | None) -> Numbers:
        numbers = await asyncio.gather(
            *(
                self._gateway.count_builds(RunFilter(types=types, service=service))
                for types in groups
            )
        )
        total: Numbers = Counter()
        for types, number in zip(groups, numbers, strict=True):
            total[STATUS_OF[types[0]]] += number
        return total
