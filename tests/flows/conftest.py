from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from build_executor.settings import Settings, load
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def drained_server(prefect_server: str) -> Iterator[str]:
    """The server's URL; what this process still has to tell it is sent before it stops."""
    yield prefect_server
    APILogWorker.drain_all()
    EventsWorker.drain_all()


@pytest.fixture
def settings(
    drained_server: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """The settings of flows that run in this process against the session's Prefect server."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "cache").symlink_to(cache)
    monkeypatch.setenv("BUILD_EXECUTOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SPEC_ROOTS", str(tmp_path))
    monkeypatch.setenv("SCHEMATHESIS_SECONDS", "0")
    monkeypatch.setenv("GUARD_SECONDS", "0.5")
    with temporary_settings({PREFECT_API_URL: drained_server}):
        yield load()


@pytest.fixture
def unused_port() -> int:
    """A port on which nobody listens."""
    return free_port()


@pytest.fixture
def spec_port() -> int:
    """The public port that the SPEC asks for."""
    return free_port()


@pytest.fixture
def spec_path(tmp_path: Path, spec_port: int) -> str:
    """A SPEC that can be built."""
    text = (ROOT / "tests" / "specs" / "notes.md").read_text(encoding="utf-8")
    path = tmp_path / "SPEC.md"
    path.write_text(text.format(service="flow-notes", version="1.0.0", port=spec_port))
    return str(path)
