from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from build_executor.generators.claude.asking import Claude, Patience
from build_executor.generators.claude.faults import Endpoint
from build_executor.settings import Settings
from build_executor.spending import Spending
from tests.messages_server import MessagesServer

BUILD = "build-1"
NEW = "claude-sonnet-5-5"
QUICK = Patience(seconds=120, retries=2, first_wait=0.001, longest_wait=0.01)

OpenClaude = Callable[..., Claude]


@pytest.fixture
def server() -> Iterator[MessagesServer]:
    with MessagesServer() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(build_executor_home=tmp_path, claude_build_dollars=100, claude_day_dollars=100)


@pytest.fixture
def spending(settings: Settings) -> Spending:
    return Spending(settings, BUILD)


@pytest.fixture
def open_claude(server: MessagesServer, spending: Spending) -> OpenClaude:
    """Claude through the real client, at the stand-in, with little patience."""

    def opened(
        *models: str, patience: Patience = QUICK, key: str = server.key, silence: float = 60
    ) -> Claude:
        endpoint = Endpoint(server.url, key, connect_seconds=60, silence_seconds=silence)
        return Claude(endpoint, models or (NEW,), spending, patience)

    return opened
