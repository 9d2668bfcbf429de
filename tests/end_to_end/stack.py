"""The whole product in a folder of its own, started the way `make up` starts it."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

from build_executor import command
from build_executor.settings import inherited_environment
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
FINAL = {"completed", "failed", "cancelled"}
BUSY = httpx.codes.SERVICE_UNAVAILABLE
_BUSY_SECONDS = 120


class Stack:
    """A running stack, seen by one of its clients."""

    def __init__(self, home: Path, cache: Path | None = None) -> None:
        """`cache` is what other stacks have prepared."""
        self.home = home
        if cache is not None:
            (home / "var").mkdir(mode=0o700)
            (home / "var" / "cache").symlink_to(cache)
        self.specs = home / "specs-to-build"
        self.specs.mkdir(parents=True)
        self.environment = {
            **inherited_environment(),
            "PYTHONDONTWRITEBYTECODE": "",
            "BUILD_EXECUTOR_HOME": str(home / "var"),
            "SPEC_ROOTS": f"{self.specs}:{ROOT / 'examples'}",
            "PORT": str(free_port()),
            "PREFECT_SERVER_API_PORT": str(free_port()),
            "APPROVAL_TIMEOUT_SECONDS": "120",
            "SCHEMATHESIS_SECONDS": "2",
            "GUARD_SECONDS": "1",
        }
        server = self.environment["PREFECT_SERVER_API_PORT"]
        self.environment["PREFECT_API_URL"] = f"http://127.0.0.1:{server}/api"
        self.url = f"http://127.0.0.1:{self.environment['PORT']}"
        self.http = httpx.Client(base_url=self.url, timeout=120)

    def run(self, *arguments: str) -> str:
        """The output of `python -m ARGUMENTS` in this stack's environment."""
        argv = [sys.executable, "-m", *arguments]
        return command.run(argv, cwd=ROOT, environment=self.environment, timeout=240).output

    def write_spec(self, name: str, text: str) -> str:
        path = self.specs / f"{name}.md"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def submit(self, spec_path: str, **request: object) -> str:
        answer = self.http.post("/builds/submit", json={"spec_path": spec_path, **request})
        assert answer.status_code in {200, 201, 202}, answer.text
        return str(answer.json()["build_id"])

    def status(self, build_id: str) -> dict[str, Any]:
        """What is said of the build, as soon as a busy Prefect server answers."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while (answer := self.http.get(f"/builds/{build_id}/status")).status_code == BUSY:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.2)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def finished(self, build_id: str, within: float = 240) -> dict[str, Any]:
        return self.until(build_id, lambda build: build["status"] in FINAL, within)

    def awaiting(self, build_id: str) -> dict[str, Any]:
        return self.until(build_id, lambda build: build["status"] in {"awaiting_approval", *FINAL})

    def until(
        self, build_id: str, reached: Callable[[dict[str, Any]], bool], within: float = 240
    ) -> dict[str, Any]:
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            build = self.status(build_id)
            if reached(build):
                return build
            assert build["completed_at"] is None, build
            time.sleep(0.1)
        raise AssertionError(f"not reached in {within} s: {build}")

    def rolled_back(self, build_id: str, within: float = 240) -> dict[str, Any]:
        """The build, once what it had done was undone."""
        deadline = time.monotonic() + within
        while (build := self.status(build_id))["rollback"] is None:
            assert time.monotonic() < deadline, build
            time.sleep(0.1)
        return build

    def events(self, build_id: str) -> Iterator[dict[str, Any]]:
        url = f"{self.url.replace('http', 'ws', 1)}/builds/{build_id}/stream"
        with connect(url) as stream:
            while True:
                event = json.loads(stream.recv(timeout=240))
                yield event
                if event["event_type"] == "end":
                    return
