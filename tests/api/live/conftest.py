from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.live.running import ROOT, Client, running_adapter, running_stand_in, settings_for
from tests.prefect_server import PrefectServer


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the adapter and the stand-in keep builds and artifacts."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def specs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that SPECs may lie in."""
    return tmp_path_factory.mktemp("specs")


@pytest.fixture(scope="session")
def spec(specs: Path) -> Path:
    """A good SPEC."""
    text = (ROOT / "tests" / "specs" / "notes.md").read_text(encoding="utf-8")
    path = specs / "SPEC.md"
    path.write_text(text.format(service="notes", version="1.0.0", port=8350), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def pipeline(prefect: PrefectServer, home: Path) -> Iterator[PrefectServer]:
    """The stand-in's deployments, served."""
    with running_stand_in(prefect, home):
        yield prefect


@pytest.fixture(scope="session")
def client(pipeline: PrefectServer, home: Path, specs: Path) -> Iterator[Client]:
    """A client of a running adapter, open to this machine."""
    with running_adapter(settings_for(home, specs), pipeline.api_url) as running:
        yield running
