"""The bench of deployments runs; what it measures is for people."""

import contextlib
from pathlib import Path

import pytest

from tests.bench_deploy import measure, overview, remarks
from tests.deploy_scenarios import Shop
from tests.deploy_stations import Stations

pytestmark = pytest.mark.full

SCENARIOS = ["good: s until it is live", "/health green, business endpoint broken"]


def test_a_good_and_a_lying_release_are_measured_under_load(tmp_path: Path) -> None:
    (tmp_path / "releases").mkdir()

    with (
        contextlib.ExitStack() as stack,
        Stations(stack, tmp_path).open["local process"]() as station,
    ):
        figures = measure(Shop(station, tmp_path / "releases"), SCENARIOS, times=1)

    assert [run.surprise for runs in figures.runs.values() for run in runs] == [None, None]
    for (run,) in figures.runs.values():
        assert {met.failed for met in run.report.requests().values()} == {0}, run.report
        assert all(met.sent > 0 for met in run.report.requests().values())
    assert figures.runs[SCENARIOS[0]][0].seconds
    assert overview({"local process": figures}, SCENARIOS, {}).row_count == len(SCENARIOS) + 2
    assert list(remarks({"local process": figures})) == []
