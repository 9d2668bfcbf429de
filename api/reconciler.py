"""Builds whose process is gone are brought to an end, because Prefect does not notice by itself.

A killed worker leaves its runs Running or Paused for ever (PrefectHQ/prefect#16746), where they
hold a slot and may even be resumed into nothing. A build records its owner; when that process is
gone, and still is after a grace period, the run is declared crashed (or cancelled, if that had been
asked for) and rolled back. So is a build whose roll-back was killed, or missed a host that could
not be reached. The same pass gives builds started from Prefect's UI their service tag.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from api.errors import ApiError
from api.gateway import Gateway
from api.projection import ACTIVE
from api.runs import SERVICE_TAG, Page, Run, RunFilter, StateType
from api.unfinished import build_of, is_due
from build_executor import artifacts, ownership
from build_executor.artifacts import ArtifactStore
from build_executor.models import BuildRecord, Owner, RollbackReport

PERIOD_SECONDS = 15.0
GRACE_SECONDS = 10.0
MOST_ROLL_BACKS = 3
NO_RECORD_GRACE = timedelta(minutes=5)
_WATCHED = tuple(state for state in ACTIVE if state is not StateType.SCHEDULED)
_KILLED = (StateType.CRASHED, StateType.CANCELLED)
_NOT_COMPLETED = (*_KILLED, StateType.FAILED)
_A_DAY = timedelta(days=1)
_PAGE = Page(limit=200)
_NEWEST = Page(limit=50)
_RECENT = timedelta(hours=1)

_log = logging.getLogger(__name__)

Alive = Callable[[Owner], bool]


class Reconciler:
    """Finds builds without a living process and ends them; never touches one that has one."""

    def __init__(
        self,
        gateway: Gateway,
        store: ArtifactStore,
        *,
        alive: Alive = ownership.is_alive,
        grace_seconds: float = GRACE_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._gateway, self._store, self._clock = gateway, store, clock
        self._alive, self._grace_seconds = alive, grace_seconds

    async def run(self) -> None:
        """A pass now and every fifteen seconds, whatever Prefect says."""
        while True:
            try:
                await self.once()
            except ApiError as error:
                _log.warning("reconciler: %s", error)
            await asyncio.sleep(PERIOD_SECONDS)

    async def once(self) -> None:
        """One pass."""
        suspects = [run for run in await self._watched() if self._is_abandoned(run)]
        if suspects:
            await asyncio.sleep(self._grace_seconds)
        for suspect in suspects:
            run = await self._gateway.read(suspect.id)
            if run is not None and run.state == suspect.state and self._is_abandoned(run):
                await self._end(run)
        await self._roll_back_killed()
        await self._repeat_roll_backs()
        await self._tag_untagged()

    async def _watched(self) -> list[Run]:
        return await self._gateway.list_builds(RunFilter(types=_WATCHED), _PAGE)

    def _is_abandoned(self, run: Run) -> bool:
        record = self._record(run)
        if record is not None:
            return not self._alive(record.owner)
        since = datetime.now(UTC) - run.state.timestamp
        return since > NO_RECORD_GRACE  # it never came to say who works on it

    async def _end(self, run: Run) -> None:
        asked_for = run.state.type is StateType.CANCELLING
        end = StateType.CANCELLED if asked_for else StateType.CRASHED
        _log.warning("build %s was %s without a process: %s", run.id, run.state.type, end)
        await self._gateway.force(run.id, end, "the build's process is gone")
        await self._roll_back(run)

    async def _roll_back_killed(self) -> None:
        """Builds that Prefect itself saw die never came to roll back what they had put live."""
        since = datetime.now(UTC) - _RECENT
        which = RunFilter(types=_KILLED, ended_after=since)
        for run in await self._gateway.list_builds(which, _NEWEST):
            if self._record(run) is not None and not self._is_rolled_back(run):
                await self._roll_back(run)

    async def _repeat_roll_backs(self) -> None:
        """A roll-back that was killed, or that a host was missing from, is not over yet."""
        now = self._clock()
        by_build: dict[str, list[Run]] = defaultdict(list)
        for roll_back in await self._gateway.roll_backs_since(now - _A_DAY):
            by_build[build_of(roll_back)].append(roll_back)
        which = RunFilter(types=_NOT_COMPLETED, ended_after=now - _A_DAY)
        builds = await self._gateway.list_builds(which, _NEWEST)
        ended = {run.id: run.state.timestamp for run in builds}
        for build_id in {*by_build, *ended}:
            report = self._report(build_id)
            if is_due(by_build[build_id], report, ended.get(build_id, now), now):
                _log.warning("the roll-back of build %s is not over: once more", build_id)
                await self._gateway.start_roll_back(build_id, "an earlier roll-back was not over")

    async def _roll_back(self, run: Run) -> None:
        try:
            if len(await self._gateway.roll_backs(run.id)) < MOST_ROLL_BACKS:
                await self._gateway.start_roll_back(run.id, "the build's process is gone")
        except ApiError as error:
            _log.warning("build %s is not rolled back yet: %s", run.id, error)

    async def _tag_untagged(self) -> None:
        for run in await self._gateway.list_builds(RunFilter(), _NEWEST):
            record = self._record(run) if run.service is None else None
            if record is not None and record.service is not None:
                tags = [*run.tags, f"{SERVICE_TAG}{record.service}"]
                await self._gateway.set_tags(run.id, tags)

    def _record(self, run: Run) -> BuildRecord | None:
        return self._store.read_value(run.id, artifacts.BUILD_RECORD, BuildRecord)

    def _is_rolled_back(self, run: Run) -> bool:
        return self._report(run.id) is not None

    def _report(self, build_id: str) -> RollbackReport | None:
        return self._store.read_value(build_id, artifacts.ROLLBACK_REPORT, RollbackReport)
