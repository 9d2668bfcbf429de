"""The nightly run, against a real Prefect server."""

import pytest

from build_executor.retention import Pruned
from build_executor.settings import Settings
from flows.prune import prune

pytestmark = pytest.mark.full


def test_a_fresh_machine_is_pruned_of_nothing(settings: Settings) -> None:
    assert prune() == Pruned()
    assert not settings.services.exists()
