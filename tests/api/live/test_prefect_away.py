from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.live.running import Client, running_adapter, settings_for
from tests.ports import free_port
from tests.prefect_server import PrefectServer

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def alone(home: Path, specs: Path) -> Iterator[Client]:
    """An adapter that Prefect never answered."""
    with running_adapter(settings_for(home, specs), f"http://127.0.0.1:{free_port()}/api") as one:
        yield one


@pytest.mark.parametrize("path", ["/builds", "/builds/00000000-0000-4000-8000-000000000000/status"])
def test_what_needs_prefect_is_503_and_says_when_to_ask_again(alone: Client, path: str) -> None:
    answer = alone.http.get(path)

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "DEPENDENCY_UNAVAILABLE"
    assert int(answer.headers["retry-after"]) > 0


def test_a_submission_is_503_and_may_be_repeated(alone: Client, spec: Path) -> None:
    answer = alone.http.post("/builds/submit", json={"spec_path": str(spec)})

    assert answer.status_code == 503
    assert "retry-after" in answer.headers


def test_health_says_so_and_the_rest_goes_on(alone: Client) -> None:
    health = alone.http.get("/health")
    state = alone.http.get("/state")

    assert (health.status_code, health.json()["status"]) == (200, "error")
    assert state.json()["active_builds"] is None
    assert "prefect" in alone.http.get("/dependencies").json()["missing"]
    assert alone.http.get("/capabilities").status_code == 200


def test_a_prefect_without_our_deployments_is_told_what_to_do(
    home: Path, specs: Path, tmp_path: Path
) -> None:
    server = PrefectServer(tmp_path)
    server.start()
    try:
        with running_adapter(settings_for(home, specs), server.api_url) as adapter:
            unregistered = adapter.http.get("/builds")
            server.stop()
            away = adapter.http.get("/builds")
            server.start()
            back = adapter.http.get("/builds")
    finally:
        server.stop()

    codes = [answer.json()["error"]["code"] for answer in (unregistered, away, back)]
    assert codes == ["NOT_REGISTERED", "DEPENDENCY_UNAVAILABLE", "NOT_REGISTERED"]
    assert "make up" in unregistered.text
