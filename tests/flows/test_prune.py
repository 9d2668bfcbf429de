"""The nightly run, against a real Prefect server."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed, Failed, Running, Scheduled

from build_executor.retention import Pruned
from build_executor.settings import Settings
from flows.prune import prune
from tasks.history import forget_runs
from tests.prefect_server import PrefectServer

pytestmark = pytest.mark.full


@flow(name="somebody-elses")
def _foreign() -> None:
    """Never run."""


LONG_AGO = "2020-01-01 00:00:00.000000"
BEFORE = datetime(2021, 1, 1, tzinfo=UTC)


class Runs(NamedTuple):
    """Runs of a deployment, as many as a test wants."""

    client: SyncPrefectClient
    make: Callable[[State[None]], str]

    def known(self, *run_ids: str) -> list[str]:
        """Those that Prefect still knows."""
        return [run_id for run_id in run_ids if self._is_known(run_id)]

    def _is_known(self, run_id: str) -> bool:
        try:
            self.client.read_flow_run(run_id)  # type: ignore[arg-type] # it takes text too
        except ObjectNotFound:
            return False
        return True


@pytest.fixture
def runs(settings: Settings) -> Iterator[Runs]:  # noqa: ARG001 - it says where Prefect is
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(
            client.create_flow_from_name("rebuild-changed"), "local"
        )

        def make(state: State[None]) -> str:
            return str(client.create_flow_run_from_deployment(deployment, state=state).id)

        yield Runs(client, make)
        client.delete_deployment(deployment)


def end_long_ago(prefect: PrefectServer, *run_ids: str) -> None:
    """As if time had gone by, which Prefect's API does not let anybody say."""
    with closing(sqlite3.connect(prefect.home / "prefect.db", timeout=30)) as database, database:
        for run_id in run_ids:
            database.execute("UPDATE flow_run SET end_time = ? WHERE id = ?", (LONG_AGO, run_id))


def test_a_fresh_machine_is_pruned_of_nothing(settings: Settings) -> None:
    assert prune() == Pruned()
    assert not settings.services.exists()


def test_runs_that_ended_long_ago_are_forgotten(runs: Runs, prefect: PrefectServer) -> None:
    ends: list[State[None]] = [Completed(), Failed(name="failed_build"), Cancelled()]
    old = [runs.make(end) for end in ends]
    young = runs.make(Completed())
    end_long_ago(prefect, *old)

    assert forget_runs([], BEFORE) == 3
    assert runs.known(*old, young) == [young]


def test_a_run_that_is_needed_or_not_over_is_kept(runs: Runs, prefect: PrefectServer) -> None:
    needed, unfinished = runs.make(Completed()), [runs.make(Running()), runs.make(Scheduled())]
    end_long_ago(prefect, needed, *unfinished)

    assert forget_runs([needed, "no run of Prefect's"], BEFORE) == 0
    assert runs.known(needed, *unfinished) == [needed, *unfinished]

    for run_id in (needed, *unfinished):
        runs.client.delete_flow_run(run_id)  # type: ignore[arg-type] # it takes text too


def test_more_runs_than_prefect_deletes_at_once_are_forgotten(
    runs: Runs, prefect: PrefectServer
) -> None:
    old = [runs.make(Completed()) for _ in range(53)]
    end_long_ago(prefect, *old)

    assert forget_runs([], BEFORE) == 53
    assert runs.known(*old) == []


def test_what_another_product_ran_is_not_ours_to_forget(runs: Runs, prefect: PrefectServer) -> None:
    foreign = str(runs.client.create_flow_run(_foreign, state=Completed()).id)
    end_long_ago(prefect, foreign)

    assert forget_runs([], BEFORE) == 0
    assert runs.known(foreign) == [foreign]
