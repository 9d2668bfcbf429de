"""A running application with an empty database for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.config import Settings
from app.main import create_app


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that keep everything in a folder of the test."""
    return Settings(
        data_dir=str(tmp_path), registry_url="", release_id="unreleased", log_level="WARNING"
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A client of the application."""
    with TestClient(create_app(settings)) as client:
        yield client
