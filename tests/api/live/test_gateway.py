"""The fake of the stream's tests and the real gateway keep the same promises."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import LogCreate

from api.feed import Source
from api.gateway import open_gateway
from api.runs import StateType
from tests.fakes.gateway import OneBuild
from tests.prefect_server import PrefectServer

pytestmark = [pytest.mark.full, pytest.mark.anyio]

NOWHERE = "00000000-0000-4000-8000-000000000000"
Say = Callable[[str, float], Awaitable[None]]
Opened = tuple[Source, str, Say]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def fake() -> AsyncIterator[Opened]:
    build = OneBuild()

    async def say(text: str, seconds_ago: float) -> None:
        build.say(text, seconds_ago=seconds_ago)

    yield build, build.id, say


@asynccontextmanager
async def real(prefect: PrefectServer) -> AsyncIterator[Opened]:
    async with PrefectClient(prefect.api_url) as client, open_gateway(prefect.api_url) as gateway:
        run = await client.create_flow_run(_empty)

        async def say(text: str, seconds_ago: float) -> None:
            moment = datetime.now(UTC) - timedelta(seconds=seconds_ago)
            line = LogCreate(name="x", level=20, message=text, timestamp=moment, flow_run_id=run.id)
            await client.create_logs([line])

        yield gateway, str(run.id), say


@flow(name="empty")
def _empty() -> None:
    pass


@pytest.fixture(params=["fake", "real"])
async def opened(request: pytest.FixtureRequest, prefect: PrefectServer) -> AsyncIterator[Opened]:
    async with fake() if request.param == "fake" else real(prefect) as source:
        yield source


async def test_a_log_is_read_in_order_of_time(opened: Opened) -> None:
    source, run_id, say = opened
    for text, seconds_ago in (("second", 20), ("third", 10), ("first", 30)):
        await say(text, seconds_ago)

    lines = await source.logs(run_id, None)

    assert [line.message for line in lines] == ["first", "second", "third"]


async def test_a_log_is_read_from_a_moment_on_that_moment_included(opened: Opened) -> None:
    source, run_id, say = opened
    await say("before", 30)
    await say("then", 20)
    moment = (await source.logs(run_id, None))[1].timestamp

    lines = await source.logs(run_id, moment)

    assert [line.message for line in lines] == ["then"]


async def test_a_log_longer_than_a_page_is_read_whole(opened: Opened) -> None:
    source, run_id, say = opened
    for number in range(205):
        await say(str(number), 300 - number)

    lines = await source.logs(run_id, None)

    assert [line.message for line in lines] == [str(number) for number in range(205)]


@pytest.mark.parametrize("unknown", [NOWHERE, "x", ""])
async def test_an_unknown_run_is_none(opened: Opened, unknown: str) -> None:
    source, _, _ = opened

    assert await source.read(unknown) is None


async def test_a_run_is_read_with_its_state(opened: Opened) -> None:
    source, run_id, _ = opened

    run = await source.read(run_id)

    assert run is not None
    assert run.id == run_id
    assert run.state.type in StateType
    assert await source.task_runs([run_id]) == []
