"""The adapter and the stand-in pipeline, running for tests."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from api.__main__ import server_of
from build_executor import command
from build_executor.settings import Settings
from tests.ports import free_port
from tests.prefect_server import PrefectServer

ROOT = Path(__file__).resolve().parents[3]
STAND_IN = ROOT / "tests" / "fixtures" / "stand_in.py"
ENDED = {"completed", "failed", "cancelled"}


class Client:
    """A running adapter, seen by one of its clients."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=120)

    def stream_url(self, build_id: str) -> str:
        return f"{self.url.replace('http', 'ws', 1)}/builds/{build_id}/stream"

    def submit(self, spec_path: Path, **fields: object) -> str:
        body = {"spec_path": str(spec_path), **fields}
        answer = self._served("POST", "/builds/submit", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["build_id"])

    def status(self, build_id: str) -> dict[str, Any]:
        answer = self._served("GET", f"/builds/{build_id}/status")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def _served(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401
        """What it answers once it is not 503, which asks to come again: SQLite can be that busy."""
        deadline = time.monotonic() + 240
        while (answer := self.http.request(method, path, **more)).status_code == 503:
            assert time.monotonic() < deadline, answer.text
            time.sleep(1)
        return answer

    def until(self, build_id: str, *statuses: str) -> dict[str, Any]:
        deadline = time.monotonic() + 240
        while (job := self.status(build_id))["status"] not in statuses:
            assert time.monotonic() < deadline, job
            time.sleep(0.1)
        return job

    def until_rolled_back(self, build_id: str) -> None:
        deadline = time.monotonic() + 240
        while self.status(build_id)["rollback"] is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def until_working(self, build_id: str) -> None:
        """Its process has said that it is there."""
        self.until(build_id, "running")
        while "build.json" not in self.status(build_id)["artifacts"]:
            time.sleep(0.1)

    def until_over(self, build_id: str) -> None:
        """Its process is gone too."""
        while self.status(build_id)["completed_at"] is None:
            time.sleep(0.1)

    def ended(self, build_id: str) -> dict[str, Any]:
        return self.until(build_id, *ENDED)


@contextmanager
def running_adapter(settings: Settings, prefect_api_url: str) -> Iterator[Client]:
    """The adapter under uvicorn, with the limits it really has."""
    server = server_of(settings, prefect_api_url)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    client = Client(f"http://127.0.0.1:{settings.port}")
    try:
        yield client
    finally:
        client.http.close()
        server.should_exit = True
        thread.join(30)


@contextmanager
def running_stand_in(prefect: PrefectServer, home: Path) -> Iterator[None]:
    """A process that serves the stand-in's deployments."""
    environment = {
        **prefect.environment,
        "BUILD_EXECUTOR_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
    }
    log = prefect.home / "stand_in.log"
    process = command.start(
        [sys.executable, str(STAND_IN)], log=log, cwd=ROOT, environment=environment
    )
    try:
        _await_deployments(prefect.api_url, log)
        yield
    finally:
        command.stop(process)


def settings_for(home: Path, specs: Path) -> Settings:
    """Settings of an adapter on a free port."""
    return Settings(build_executor_home=home, spec_roots=(specs,), port=free_port())


def _await_deployments(api_url: str, log: Path) -> None:
    deadline = time.monotonic() + 240
    for name in ("build-service/local", "roll-back-service/local"):
        while not httpx.get(f"{api_url}/deployments/name/{name}").is_success:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
