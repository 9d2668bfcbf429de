from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from build_executor.settings import Settings, load
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(
    prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """The settings of flows that run in this process against the session's Prefect server."""
    monkeypatch.setenv("BUILD_EXECUTOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SPEC_ROOTS", str(tmp_path))
    with temporary_settings({PREFECT_API_URL: prefect_server}):
        yield load()


@pytest.fixture
def spec_path(tmp_path: Path) -> str:
    """A SPEC that can be built."""
    text = (ROOT / "tests" / "specs" / "notes.md").read_text(encoding="utf-8")
    path = tmp_path / "SPEC.md"
    path.write_text(text.format(service="flow-notes", version="1.0.0", port=free_port()))
    return str(path)
