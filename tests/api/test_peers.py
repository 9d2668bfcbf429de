import asyncio
from collections.abc import Callable

import httpx
import pytest
from pydantic import HttpUrl

from api import peers
from api.claude import ClaudeApi, Standing
from api.schemas import MessageType, SendRequest
from build_executor.settings import Settings
from tests.fakes.gateway import OneBuild

pytestmark = pytest.mark.full

Answering = Callable[[httpx.Request], httpx.Response]
SETTINGS = Settings(
    registry_url=HttpUrl("http://registry:8000"), orchestrator_url=HttpUrl("http://orchestrator:1")
)
MESSAGE = SendRequest(target="verifier", message_type=MessageType.EVENT, payload={"a": 1})
AWAY = Standing(ClaudeApi.NOT_CONFIGURED, "no key")


class ReadyPrefect(OneBuild):
    """A Prefect that answers."""

    async def is_ready(self) -> None:
        pass


def with_peers(answering: Answering) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(answering))


def statuses(answering: Answering) -> dict[str, str]:
    async def probing() -> dict[str, str]:
        async with with_peers(answering) as http:
            found = await peers.dependencies(SETTINGS, ReadyPrefect(), http, AWAY)
        return {item["name"]: item["status"] for item in found["required"] + found["optional"]}

    return asyncio.run(probing())


def send(answering: Answering, settings: Settings = SETTINGS) -> tuple[bool, str]:
    async def sending() -> tuple[bool, str]:
        async with with_peers(answering) as http:
            return await peers.send_through_registry(settings, http, MESSAGE, "trace")

    return asyncio.run(sending())


def refusing(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def test_a_peer_that_answers_is_available() -> None:
    found = statuses(lambda _: httpx.Response(200, json={"status": "inactive"}))

    assert found["registry"] == found["orchestrator"] == "available"


def test_a_peer_may_answer_below_its_own_name() -> None:
    def answering(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200 if request.url.path == "/orchestrator/health" else 404)

    assert statuses(answering)["orchestrator"] == "available"


@pytest.mark.parametrize(
    "answering",
    [refusing, lambda _: httpx.Response(500), lambda _: httpx.Response(404)],
    ids=["refuses", "error", "no such path"],
)
def test_a_peer_that_does_not_answer_well_is_unavailable(answering: Answering) -> None:
    assert statuses(answering)["registry"] == "unavailable"


def test_a_message_goes_out_through_the_registry() -> None:
    asked = []

    def answering(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json={"sent": True})

    assert send(answering) == (True, "")
    assert asked == ["http://registry:8000/send"]


@pytest.mark.parametrize(
    "answering",
    [
        refusing,
        lambda _: httpx.Response(200, json={"sent": False}),
        lambda _: httpx.Response(200, text="<html>"),
        lambda _: httpx.Response(200, json=[]),
        lambda _: httpx.Response(500),
        lambda _: httpx.Response(302, headers={"location": "http://169.254.169.254/"}),
    ],
    ids=["refuses", "not sent", "HTML", "a list", "error", "redirect"],
)
def test_a_message_that_the_registry_did_not_deliver_was_not_sent(answering: Answering) -> None:
    sent, detail = send(answering)

    assert not sent
    assert detail.startswith("the registry did not deliver it")


def test_without_a_registry_nothing_is_sent() -> None:
    sent, detail = send(refusing, Settings())

    assert not sent
    assert "REGISTRY_URL" in detail
