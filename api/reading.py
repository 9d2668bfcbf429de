"""Builds as their readers see them: what Prefect and the artifact store say, put together."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime

from api.errors import unknown_build
from api.evidence import read_evidence, read_summary_evidence
from api.gateway import Gateway
from api.projection import (
    Outlook,
    median_seconds,
    needs_tasks,
    project,
    states_with,
    summarise,
)
from api.runs import Page, Run, RunFilter, StateType, TaskRun, run_id
from api.schemas import BuildJob, BuildList, BuildSummary
from api.state import Adapter
from build_executor.phases import BuildStatus

MAX_CONCURRENT_BUILDS = 3  # the limit of the work pool `builds`
_RECENT = 20
_MOST_REMEMBERED = 20_000
_OCCUPYING = (StateType.PENDING, StateType.RUNNING)


async def read_run(adapter: Adapter, build_id: str) -> Run:
    """The build's run; ApiError 404 if there is none."""
    run = await adapter.gateway.read_build(build_id)
    if run is None:
        raise unknown_build(build_id)
    return run


async def read_job(adapter: Adapter, build_id: str) -> BuildJob:
    """Everything about one build; ApiError 404 if there is none."""
    run, tasks = await asyncio.gather(
        read_run(adapter, build_id), _tasks_of(adapter.gateway, build_id)
    )
    outlook = await read_outlook(adapter, run)
    evidence = await asyncio.to_thread(read_evidence, adapter.store, run.id)
    return project(run, tasks, evidence, outlook, datetime.now(UTC))


async def read_outlook(adapter: Adapter, run: Run) -> Outlook:
    """What the builds around this one are about; cheap for one that is over."""
    if run.state.is_terminal:
        return Outlook()
    seconds = await adapter.median_seconds.get()
    if run.state.type is not StateType.SCHEDULED:
        return Outlook(median_seconds=seconds)
    position, occupied = await asyncio.gather(
        adapter.gateway.queue_position(run),
        adapter.gateway.count_builds(RunFilter(types=_OCCUPYING)),
    )
    return Outlook(
        median_seconds=seconds,
        queue_position=position,
        occupied=occupied,
        slots=MAX_CONCURRENT_BUILDS,
    )


async def read_list(
    adapter: Adapter, status: BuildStatus | None, service: str | None, page: Page
) -> BuildList:
    """One page of builds, newest first, and the counts of all of them by status."""
    types = states_with(status) if status is not None else ()
    which = RunFilter(types=types, service=service)
    runs, counts = await asyncio.gather(
        adapter.gateway.list_builds(which, page), adapter.counts.of(service)
    )
    builds = await _summaries(adapter, runs)
    return BuildList(builds=builds, total=sum(counts.values()), **counts)


async def read_median_seconds(gateway: Gateway) -> float:
    """How long the newest completed builds took, in the median."""
    completed = RunFilter(types=(StateType.COMPLETED,))
    page = Page(limit=_RECENT, sort="END_TIME_DESC")
    return median_seconds(await gateway.list_builds(completed, page))


async def read_active_builds(gateway: Gateway) -> tuple[int, int]:
    """How many builds are under way, waiting for people included, and how many are queued."""
    under_way = RunFilter(types=(*_OCCUPYING, StateType.PAUSED, StateType.CANCELLING))
    waiting = RunFilter(types=(StateType.SCHEDULED,))
    active, queued = await asyncio.gather(
        gateway.count_builds(under_way), gateway.count_builds(waiting)
    )
    return active, queued


async def read_today(gateway: Gateway, now: datetime) -> tuple[int, int]:
    """How many builds were completed and how many failed since midnight, UTC."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    completed, failed = await asyncio.gather(
        *(
            gateway.count_builds(RunFilter(types=states_with(status), ended_after=midnight))
            for status in (BuildStatus.COMPLETED, BuildStatus.FAILED)
        )
    )
    return completed, failed


async def _summaries(adapter: Adapter, runs: list[Run]) -> list[BuildSummary]:
    """A build that is over does not change any more, so its line is made once."""
    new = [run for run in runs if run.id not in adapter.ended]
    tasks = await _tasks_by_run(adapter.gateway, [run.id for run in new if needs_tasks(run)])
    now = datetime.now(UTC)
    made = {
        run.id: summarise(run, tasks[run.id], read_summary_evidence(adapter.store, run), now)
        for run in new
    }
    if len(adapter.ended) > _MOST_REMEMBERED:
        adapter.ended.clear()
    adapter.ended.update(
        {run.id: made[run.id] for run in new if run.state.is_terminal and made[run.id].service_name}
    )
    return [made.get(run.id) or adapter.ended[run.id] for run in runs]


async def _tasks_by_run(gateway: Gateway, run_ids: list[str]) -> dict[str, list[TaskRun]]:
    found: dict[str, list[TaskRun]] = defaultdict(list)
    for task in await gateway.task_runs(run_ids):
        found[task.flow_run_id].append(task)
    return found


async def _tasks_of(gateway: Gateway, build_id: str) -> list[TaskRun]:
    known = run_id(build_id)
    return await gateway.task_runs([known]) if known is not None else []
