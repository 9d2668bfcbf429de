"""What a client meets when as many builds wait as may: nobody works on this Prefect's builds."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from prefect.client.orchestration import PrefectClient

from tests.api.live.running import Client, running_adapter, settings_for
from tests.prefect_server import PrefectServer

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A Prefect that knows the deployment of builds, and has no worker."""
    server = PrefectServer(tmp_path_factory.mktemp("idle"))
    server.start()
    try:
        asyncio.run(_register(server.api_url))
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def client(idle: PrefectServer, home: Path, specs: Path) -> Iterator[Client]:
    """A client of an adapter whose queue has room for two."""
    settings = settings_for(home, specs).model_copy(update={"queue_limit": 2})
    with running_adapter(settings, idle.api_url) as running:
        yield running


@pytest.fixture
def full(client: Client, spec: Path) -> Iterator[str]:
    """The key of one of the two builds that wait; both are gone after the test."""
    keys = [str(uuid4()), str(uuid4())]
    answers = [submit(client, spec, key) for key in keys]
    yield keys[0]
    for answer in answers:
        client.http.post(f"/builds/{answer.json()['build_id']}/cancel")


async def _register(api_url: str) -> None:
    async with PrefectClient(api_url) as prefect:
        flow_id = await prefect.create_flow_from_name("build-service")
        deployment = await prefect.create_deployment(flow_id, "local")
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        for _ in range(5):  # as a schedule makes them long before they are due
            run = await prefect.create_flow_run_from_deployment(deployment)
            await _put_off(api_url, str(run.id), tomorrow)


async def _put_off(api_url: str, run_id: str, moment: datetime) -> None:
    details = {"scheduled_time": moment.isoformat()}
    state = {"type": "SCHEDULED", "name": "Scheduled", "state_details": details}
    async with httpx.AsyncClient(base_url=api_url) as http:
        answer = await http.post(
            f"/flow_runs/{run_id}/set_state", json={"state": state, "force": True}
        )
    answer.raise_for_status()


def submit(client: Client, spec: Path, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return client.http.post("/builds/submit", json={"spec_path": str(spec)}, headers=headers)


@pytest.mark.usefixtures("full")
def test_a_full_queue_is_429_and_says_when_to_ask_again(client: Client, spec: Path) -> None:
    answer = submit(client, spec)

    assert answer.status_code == 429
    assert answer.json()["status"] == "error"
    assert answer.json()["error"]["code"] == "QUEUE_FULL"
    assert answer.json()["error"]["details"] == {"limit": 2}
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.usefixtures("full")
def test_a_new_key_is_no_way_around_a_full_queue(client: Client, spec: Path) -> None:
    assert submit(client, spec, "another").status_code == 429


def test_who_repeats_a_submission_gets_its_build_however_full_the_queue_is(
    client: Client, spec: Path, full: str
) -> None:
    answers = [submit(client, spec, full) for _ in range(2)]

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["build_id"] for answer in answers}) == 1


def test_a_message_meets_the_same_limit(client: Client, spec: Path, full: str) -> None:
    message = {
        "trace_id": full,
        "source": "orchestrator",
        "target": "build-executor",
        "message_type": "command",
        "payload": {"action": "build", "spec_path": str(spec)},
        "timestamp": datetime.now(UTC).isoformat(),
    }

    answer = client.http.post("/message", json=message)

    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "QUEUE_FULL")


def test_a_queue_with_room_takes_builds_again(client: Client, spec: Path, full: str) -> None:
    waiting = submit(client, spec, full).json()["build_id"]
    client.http.post(f"/builds/{waiting}/cancel")

    answer = submit(client, spec)

    assert answer.status_code == 200
    client.http.post(f"/builds/{answer.json()['build_id']}/cancel")


def test_the_limit_is_documented(client: Client) -> None:
    paths = client.http.get("/openapi.json").json()["paths"]

    assert "429" in paths["/builds/submit"]["post"]["responses"]
    assert "429" in paths["/message"]["post"]["responses"]
