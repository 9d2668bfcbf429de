"""The only user of Prefect's client: what the adapter asks of Prefect, in its own words.

Answers are the frozen values of `runs.py`. Prefect's SQLite answers 503 under bursts, so every
request is repeated within its budget; when Prefect is away the answer is `PrefectAway` at once.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

from api.errors import ApiError, NotRegistered, PrefectAway, QueueFull
from api.patience import PatientTransport
from api.runs import LogLine, Page, Resumption, Run, RunFilter, State, StateType, TaskRun, run_id
from api.unfinished import LONGEST_ROLL_BACK

if TYPE_CHECKING:
    from prefect.client.orchestration.base import HTTP_METHODS
    from prefect.client.orchestration.routes import ServerRoutes

Json = dict[str, Any]

BUILD_DEPLOYMENT = "build-service/local"
ROLL_BACK_DEPLOYMENT = "roll-back-service/local"
DEFAULT_API_URL = "http://127.0.0.1:4200/api"

PAGE_LIMIT = 200  # Prefect's own
_SUBMITS_AT_ONCE = 4  # more of them only make SQLite refuse more
_BY_NAME: "ServerRoutes" = "/deployments/name/{flow_name}/{deployment_name}"
_READ_SECONDS = 10
_SCHEMA_ATTEMPTS = 20
_SCHEMA_DELAY = 0.05

_log = logging.getLogger(__name__)


class Refused(ApiError):
    """Prefect answered, but not as expected; its own words go to the log, not to the client."""

    def __init__(self, code_of_prefect: int, text: str) -> None:
        message = f"Prefect's API answered with {code_of_prefect}"
        super().__init__(HTTPStatus.BAD_GATEWAY, "DEPENDENCY_ERROR", message)
        self.code_of_prefect = code_of_prefect
        _log.warning("%s: %s", message, text[:500])


@asynccontextmanager
async def open_gateway(api_url: str | None = None) -> AsyncIterator["Gateway"]:
    """A gateway to Prefect at `api_url` (default: Prefect's own setting); starts nothing."""
    client = PrefectClient(
        api_url or PREFECT_API_URL.value() or DEFAULT_API_URL,
        auth_string=PREFECT_API_AUTH_STRING.value(),
        httpx_settings={
            "transport": PatientTransport(limits=httpx.Limits(max_connections=32)),
            "timeout": httpx.Timeout(_READ_SECONDS),
        },
    )
    async with client:
        yield Gateway(client)


class Gateway:
    """Prefect as the adapter needs it; every method may raise PrefectAway."""

    def __init__(self, client: PrefectClient) -> None:
        self._client = client
        self._deployments: dict[str, str] = {}
        self._submitting = asyncio.Semaphore(_SUBMITS_AT_ONCE)

    async def submit(
        self, parameters: Mapping[str, Any], service: str, key: str | None, *, queue_limit: int
    ) -> Run:
        """A scheduled build; the same key gives the same build again, however long the queue is.

        QueueFull if as many wait as may; several at once may make it a little longer.
        """
        tags = [f"service:{service}"]
        async with self._submitting:
            await self._refuse_full_queue(key, queue_limit)
            return await self._create(BUILD_DEPLOYMENT, parameters, tags, key)

    async def start_roll_back(self, build_id: str, reason: str) -> Run:
        """The roll-back run of this build: the one under way, or a new one."""
        earlier = await self.roll_backs(build_id)
        oldest = datetime.now(UTC) - LONGEST_ROLL_BACK
        active = [run for run in earlier if run.state.is_under_way_since(oldest)]
        if active:
            return active[0]
        parameters = {"build_id": build_id, "reason": reason}
        key = f"roll-back:{build_id}:{len(earlier)}"
        return await self._create(ROLL_BACK_DEPLOYMENT, parameters, [_build_tag(build_id)], key)

    async def roll_backs(self, build_id: str) -> list[Run]:
        """The roll-back runs of this build."""
        deployment = await self._deployment(ROLL_BACK_DEPLOYMENT)
        which = {**_of(deployment), "tags": {"all_": [_build_tag(build_id)]}}
        found = await self._filter("/flow_runs/filter", {"flow_runs": which, "limit": PAGE_LIMIT})
        return [Run.model_validate(item) for item in found]

    async def roll_backs_since(self, moment: datetime) -> list[Run]:
        """The newest roll-back runs of all builds, the newest first."""
        deployment = await self._deployment(ROLL_BACK_DEPLOYMENT)
        body = {
            "flow_runs": {**_of(deployment), "expected_start_time": {"after_": moment.isoformat()}},
            "sort": "EXPECTED_START_TIME_DESC",
            "limit": PAGE_LIMIT,
        }
        found = await self._filter("/flow_runs/filter", body)
        return [Run.model_validate(item) for item in found]

    async def read(self, any_id: str) -> Run | None:
        """One run; None if Prefect has none of this id."""
        known = run_id(any_id)
        if known is None:
            return None
        try:
            answer = await self._get("/flow_runs/{id}", id=known)
        except Refused as error:
            if error.code_of_prefect == HTTPStatus.NOT_FOUND:
                return None
            raise
        return Run.model_validate(answer)

    async def read_build(self, build_id: str) -> Run | None:
        """One build; None for an unknown id and for runs that are no builds."""
        deployment = await self._deployment(BUILD_DEPLOYMENT)
        run = await self.read(build_id)
        return run if run is not None and run.deployment_id == deployment else None

    async def list_builds(self, which: RunFilter, page: Page) -> list[Run]:
        """The builds that match, in the page's order."""
        deployment = await self._deployment(BUILD_DEPLOYMENT)
        body = {"flow_runs": _filter(deployment, which), **page.model_dump()}
        return [Run.model_validate(item) for item in await self._filter("/flow_runs/filter", body)]

    async def count_builds(self, which: RunFilter) -> int:
        """How many builds match."""
        deployment = await self._deployment(BUILD_DEPLOYMENT)
        return await self._count(_filter(deployment, which))

    async def queue_position(self, run: Run) -> int:
        """1 for the build that is started next, 0 for one that is not waiting."""
        if run.state.type is not StateType.SCHEDULED or run.next_scheduled_start_time is None:
            return 0
        deployment = await self._deployment(BUILD_DEPLOYMENT)
        waiting = _filter(deployment, RunFilter(types=(StateType.SCHEDULED,)))
        before = run.next_scheduled_start_time.isoformat()
        ahead = await self._count({**waiting, "next_scheduled_start_time": {"before_": before}})
        return max(1, ahead)  # `before_` includes the run itself

    async def task_runs(self, run_ids: list[str]) -> list[TaskRun]:
        """The task runs of these runs, in the order in which they were expected to start."""
        if not run_ids:
            return []
        body = {"flow_runs": {"id": {"any_": run_ids}}, "sort": "EXPECTED_START_TIME_ASC"}
        items = await self._all("/task_runs/filter", body)
        return [TaskRun.model_validate(item) for item in items]

    async def logs(self, flow_run_id: str, after: datetime | None) -> list[LogLine]:
        """All lines of a run's log at or after a moment, in order of time."""
        which: Json = {"flow_run_id": {"any_": [flow_run_id]}}
        if after is not None:
            which["timestamp"] = {"after_": after.isoformat()}
        items = await self._all("/logs/filter", {"logs": which, "sort": "TIMESTAMP_ASC"})
        return [LogLine.model_validate(item) for item in items]

    async def resume(self, flow_run_id: str, answer: Mapping[str, Any]) -> Resumption:
        """Hand an answer to a paused run; Prefect says in the body, not the code, what came of it.

        Between the pause and the saving of its form Prefect refuses for some milliseconds.
        """
        for _ in range(_SCHEMA_ATTEMPTS):
            result = await self._post(
                "/flow_runs/{id}/resume", {"run_input": dict(answer)}, id=flow_run_id
            )
            reason = (result.get("details") or {}).get("reason") or ""
            if "schema not found" not in reason:
                break
            await asyncio.sleep(_SCHEMA_DELAY)
        outcomes = {"ACCEPT": Resumption.ACCEPTED, "ABORT": Resumption.NOT_PAUSED}
        return outcomes.get(result["status"], Resumption.INVALID)

    async def cancel(self, flow_run_id: str, reason: str) -> State:
        """Ask for the run's end; the state it is in then. A waiting run is cancelled at once."""
        return await self._set_state(flow_run_id, StateType.CANCELLING, reason)

    async def force(self, flow_run_id: str, state: StateType, reason: str) -> State:
        """Declare a run crashed or cancelled that nobody works on any more."""
        return await self._set_state(flow_run_id, state, reason, force=True)

    async def set_tags(self, flow_run_id: str, tags: list[str]) -> None:
        """Replace the run's tags."""
        await self._request("PATCH", "/flow_runs/{id}", {"tags": tags}, {"id": flow_run_id})

    async def is_ready(self) -> None:
        """Return if Prefect's API answers and its database does."""
        await self._get("/ready")

    async def _refuse_full_queue(self, key: str | None, limit: int) -> None:
        deployment = await self._deployment(BUILD_DEPLOYMENT)
        waiting = _filter(deployment, RunFilter(types=(StateType.SCHEDULED,)))
        due = {"before_": datetime.now(UTC).isoformat()}  # not what a schedule has yet to start
        if await self._count({**waiting, "next_scheduled_start_time": due}) < limit:
            return
        known = {**_of(deployment), "idempotency_key": {"any_": [key]}}
        if key is None or not await self._count(known):
            raise QueueFull(limit)

    async def _set_state(
        self, flow_run_id: str, state: StateType, reason: str, *, force: bool = False
    ) -> State:
        wanted = {"type": state.value, "name": state.value.capitalize(), "message": reason}
        body = {"state": wanted, "force": force}
        result = await self._post("/flow_runs/{id}/set_state", body, id=flow_run_id)
        if result.get("state") is None:
            result = await self._get("/flow_runs/{id}", id=flow_run_id)
        return State.model_validate(result["state"])

    async def _create(
        self, name: str, parameters: Mapping[str, Any], tags: list[str], key: str | None
    ) -> Run:
        deployment = await self._deployment(name)
        body = {"parameters": parameters, "tags": tags, "idempotency_key": key}
        try:
            run = await self._post("/deployments/{id}/create_flow_run", body, id=deployment)
        except Refused as error:
            if error.code_of_prefect != HTTPStatus.NOT_FOUND:
                raise
            del self._deployments[name]  # deleted since we asked for its id
            raise NotRegistered(name) from error
        return Run.model_validate(run)

    async def _deployment(self, name: str) -> str:
        """The deployment's id; remembered, because an id outlives every re-registration."""
        if name not in self._deployments:
            flow, deployment = name.split("/")
            try:
                answer = await self._get(_BY_NAME, flow_name=flow, deployment_name=deployment)
            except Refused as error:
                if error.code_of_prefect == HTTPStatus.NOT_FOUND:
                    raise NotRegistered(name) from error
                raise
            self._deployments[name] = str(answer["id"])
        return self._deployments[name]

    async def _filter(self, path: "ServerRoutes", body: Json) -> list[Json]:
        return list(await self._post(path, body))

    async def _count(self, flow_runs: Json) -> int:
        return int(await self._post("/flow_runs/count", {"flow_runs": flow_runs}))

    async def _all(self, path: "ServerRoutes", body: Json) -> list[Json]:
        items: list[Json] = []
        while True:
            page = {"limit": PAGE_LIMIT, "offset": len(items)}
            found = await self._filter(path, {**body, **page})
            items += found
            if len(found) < PAGE_LIMIT:
                return items

    async def _get(self, path: "ServerRoutes", **ids: str) -> Any:  # noqa: ANN401 - a JSON boundary
        return await self._request("GET", path, None, ids)

    async def _post(self, path: "ServerRoutes", body: Json, **ids: str) -> Any:  # noqa: ANN401
        return await self._request("POST", path, body, ids)

    async def _request(
        self, method: "HTTP_METHODS", path: "ServerRoutes", body: Json | None, ids: dict[str, str]
    ) -> Any:  # noqa: ANN401
        try:
            answer = await self._client.request(method, path, path_params=ids, json=body)
        except PrefectHTTPStatusError as error:
            raise Refused(error.response.status_code, error.response.text) from error
        except httpx.TransportError as error:
            raise PrefectAway from error
        return answer.json() if answer.content else None


def _build_tag(build_id: str) -> str:
    return f"build:{build_id}"


def _of(deployment: str) -> Json:
    return {"deployment_id": {"any_": [deployment]}}


def _filter(deployment: str, which: RunFilter) -> Json:
    body = _of(deployment)
    if which.types:
        body["state"] = {"type": {"any_": list(which.types)}}
    if which.service is not None:
        body["tags"] = {"all_": [f"service:{which.service}"]}
    if which.ended_after is not None:
        body["end_time"] = {"after_": which.ended_after.isoformat()}
    return body
