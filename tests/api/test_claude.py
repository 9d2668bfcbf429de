import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from pydantic import HttpUrl, SecretStr

from api import claude
from api.claude import ClaudeApi, Standing, Watch
from build_executor.models import Usage
from build_executor.settings import Settings
from build_executor.spending import Spending
from tests.messages_rules import MODELS
from tests.messages_server import MessagesServer

pytestmark = pytest.mark.full

OLD, NEW = "claude-sonnet-4-5-20250929", "claude-sonnet-5-5"


@pytest.fixture
def server() -> Iterator[MessagesServer]:
    with MessagesServer() as server:
        yield server


def settings_for(server: MessagesServer, key: str | None = None) -> Settings:
    return Settings(
        anthropic_base_url=HttpUrl(server.url), anthropic_api_key=SecretStr(key or server.key)
    )


def look_up(settings: Settings) -> Standing:
    async def looking() -> Standing:
        async with claude.open_http() as http:
            return await claude.look_up(settings, http)

    return asyncio.run(looking())


def test_a_model_that_is_there_is_connected(server: MessagesServer) -> None:
    standing = look_up(settings_for(server))

    assert standing == Standing(ClaudeApi.CONNECTED, f"{OLD} is there")
    assert [seen.path for seen in server.seen] == [f"/v1/models/{OLD}"]


def test_a_model_that_is_gone_leaves_its_fallback(server: MessagesServer) -> None:
    del server.models[OLD]

    standing = look_up(settings_for(server))

    assert standing == Standing(ClaudeApi.CONNECTED, f"{OLD} is gone, {NEW} is asked")


def test_without_any_model_it_is_unavailable(server: MessagesServer) -> None:
    server.models.clear()

    standing = look_up(settings_for(server))

    assert standing == Standing(ClaudeApi.UNAVAILABLE, f"gone: {OLD}, {NEW}, claude-opus-5-5")


def test_a_key_that_is_not_accepted_is_unavailable(server: MessagesServer) -> None:
    standing = look_up(settings_for(server, "wrong"))

    assert standing == Standing(ClaudeApi.UNAVAILABLE, "the key is not accepted")


def test_an_address_where_nobody_answers_is_unavailable() -> None:
    settings = Settings(
        anthropic_base_url=HttpUrl("http://127.0.0.1:1"), anthropic_api_key=SecretStr("k")
    )

    assert look_up(settings) == Standing(ClaudeApi.UNAVAILABLE, "no answer: ConnectError")


def test_another_answer_is_said() -> None:
    async def looking() -> Standing:
        transport = httpx.MockTransport(lambda _: httpx.Response(500))
        async with httpx.AsyncClient(transport=transport) as http:
            return await claude.look_up(Settings(anthropic_api_key=SecretStr("k")), http)

    assert asyncio.run(looking()) == Standing(ClaudeApi.UNAVAILABLE, "answers with 500")


def test_without_a_key_nobody_is_asked() -> None:
    async def watching() -> Standing:
        async with claude.open_http() as http:
            watch = Watch(Settings(), http)
            standing = await watch.standing()
            await watch.close()
            return standing

    assert asyncio.run(watching()).word is ClaudeApi.NOT_CONFIGURED


async def first_look(watch: Watch) -> Standing:
    """What the first look-up found, however long it took."""
    while (found := await watch.standing()).detail == "not asked yet":  # noqa: ASYNC110 - as readers do
        await asyncio.sleep(0)
    return found


def test_many_readers_cost_one_look_up_until_it_is_old(server: MessagesServer) -> None:
    now = [0.0]

    async def watching() -> list[Standing]:
        async with claude.open_http() as http:
            watch = Watch(settings_for(server), http, clock=lambda: now[0])
            found = [await first_look(watch), *[await watch.standing() for _ in range(19)]]
            server.models.clear()
            now[0] += 301
            while (last := await watch.standing()) == found[0]:  # noqa: ASYNC110 - as readers do
                await asyncio.sleep(0)
            await watch.close()
            return [*found, last]

    found = asyncio.run(watching())

    assert {standing.word for standing in found[:20]} == {ClaudeApi.CONNECTED}
    assert found[-1].word is ClaudeApi.UNAVAILABLE
    assert len(server.seen) == 4  # once, then once for each model of the list


def test_one_that_is_away_is_looked_up_again_soon(server: MessagesServer) -> None:
    now = [0.0]
    server.models.clear()

    async def watching() -> Standing:
        async with claude.open_http() as http:
            watch = Watch(settings_for(server), http, clock=lambda: now[0])
            away = await first_look(watch)
            server.models.update(MODELS)
            now[0] += 21
            while (last := await watch.standing()) == away:  # noqa: ASYNC110 - as readers do
                await asyncio.sleep(0)
            return last

    assert asyncio.run(watching()).word is ClaudeApi.CONNECTED


def test_a_provider_that_hangs_keeps_nobody_waiting(server: MessagesServer) -> None:
    async def watching() -> Standing:
        async with httpx.AsyncClient(transport=httpx.MockTransport(_hang)) as http:
            watch = Watch(settings_for(server), http)
            async with asyncio.timeout(60):
                standing = await watch.standing()
                await watch.close()
            return standing

    assert asyncio.run(watching()) == Standing(ClaudeApi.UNAVAILABLE, "not asked yet")


async def _hang(_: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    return httpx.Response(200)


def test_a_model_that_retires_is_said_at_the_start(
    server: MessagesServer, caplog: pytest.LogCaptureFixture
) -> None:
    Watch(settings_for(server), httpx.AsyncClient())

    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        f"{OLD} retires on 2026-11-30; set CLAUDE_MODEL, for example to {NEW}"
    ]


def test_capabilities_say_when_the_model_retires_and_what_is_asked_then() -> None:
    said = claude.capabilities(Settings())

    assert said["claude_model"] == OLD
    assert (said["claude_deprecated_on"], said["claude_replacement"]) == ("2026-11-30", NEW)
    assert said["claude_fallback_models"] == [NEW, "claude-opus-5-5"]


def test_capabilities_say_nothing_of_a_model_they_do_not_know() -> None:
    said = claude.capabilities(Settings(claude_model="claude-of-next-year"))

    assert (said["claude_deprecated_on"], said["claude_replacement"]) == (None, None)


def test_the_day_is_counted_and_what_has_no_price_has_no_sum(tmp_path: Path) -> None:
    settings = Settings(build_executor_home=tmp_path)
    spending = Spending(settings, "b")
    used = Usage(input_tokens=1000, output_tokens=1000)
    spending.settle(spending.reserve(NEW, 1, 1000, 1000), used, "complete")

    first = claude.spent_today(settings)
    spending.settle(spending.reserve("claude-of-next-year", 1, 1000, 1000), used, "complete")
    second = claude.spent_today(settings)

    assert (first["calls"], first["dollars"]) == (1, pytest.approx(0.012))
    assert (second["dollars"], second["counted_dollars"] > 0.012) == (None, True)


def test_a_day_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    settings = Settings(build_executor_home=tmp_path)
    settings.spending.mkdir()
    (settings.spending / f"{datetime.now(UTC).date().isoformat()}.json").write_text("{")

    assert claude.spent_today(settings)["dollars"] is None
