import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.gateway import open_gateway
from api.reconciler import Reconciler
from api.runs import RunFilter, StateType
from build_executor import artifacts, ownership
from build_executor.artifacts import ArtifactStore
from build_executor.models import BuildRecord, BuildRequest, RollbackReport
from tests.api.live.running import Client
from tests.prefect_server import PrefectServer

pytestmark = pytest.mark.full

MISSED_A_HOST = RollbackReport(
    rollback_status="failed", previous_version_restored=False, service_health="error"
)
GONE = ownership.this_process().model_copy(update={"pid": 2**22 + 1})


def once(
    prefect: PrefectServer, home: Path, *, dead: bool = False, later: timedelta = timedelta()
) -> None:
    """One pass, in which every owner counts as alive or as gone."""

    async def passing() -> None:
        async with open_gateway(prefect.api_url) as gateway:
            store = ArtifactStore(home / "artifacts")
            reconciler = Reconciler(
                gateway,
                store,
                alive=lambda _: not dead,
                grace_seconds=0,
                clock=lambda: datetime.now(UTC) + later,
            )
            await reconciler.once()

    asyncio.run(passing())


def record(home: Path, build_id: str, service: str | None = None) -> None:
    known = BuildRecord(
        build_id=build_id, request=BuildRequest(spec_path="x"), owner=GONE, service=service
    )
    ArtifactStore(home / "artifacts").write_value(build_id, artifacts.BUILD_RECORD, known)


def test_a_build_whose_process_is_gone_fails_and_is_rolled_back(
    client: Client, prefect: PrefectServer, home: Path, spec: Path
) -> None:
    build_id = client.submit(spec, metadata={"approval": True})
    client.until(build_id, "awaiting_approval")

    once(prefect, home, dead=True)

    job = client.status(build_id)
    assert (job["status"], job["error"]) == (
        "failed",
        "failed_code_generation: the build's process is gone",
    )
    client.until_rolled_back(build_id)


def test_a_build_with_a_living_process_is_left_alone(
    client: Client, prefect: PrefectServer, home: Path, spec: Path
) -> None:
    build_id = client.submit(spec, metadata={"approval": True})
    client.until(build_id, "awaiting_approval")

    once(prefect, home, dead=False)

    assert client.status(build_id)["status"] == "awaiting_approval"
    client.http.post(f"/builds/{build_id}/cancel")
    assert client.ended(build_id)["status"] == "cancelled"


def test_a_build_that_has_not_said_who_works_on_it_is_given_time(
    client: Client, prefect: PrefectServer, spec: Path, tmp_path: Path
) -> None:
    build_id = client.submit(spec, metadata={"approval": True})
    client.until(build_id, "awaiting_approval")

    once(prefect, tmp_path, dead=True)

    assert client.status(build_id)["status"] == "awaiting_approval"
    client.http.post(f"/builds/{build_id}/cancel")
    assert client.ended(build_id)["status"] == "cancelled"


def test_a_build_from_prefects_own_ui_gets_its_service(
    client: Client, prefect: PrefectServer, home: Path, spec: Path
) -> None:
    build_id = client.submit(spec)
    client.ended(build_id)
    _without_tags(prefect, build_id)
    record(home, build_id, "notes")

    once(prefect, home, dead=False)

    found = client.http.get("/builds", params={"service_name": "notes", "limit": 100}).json()
    assert build_id in {build["build_id"] for build in found["builds"]}


def test_a_build_without_a_process_cannot_be_approved(
    client: Client, home: Path, spec: Path
) -> None:
    build_id = client.submit(spec, metadata={"approval": True})
    client.until(build_id, "awaiting_approval")
    record(home, build_id)

    answer = client.http.post(f"/builds/{build_id}/approve", json={"approved": True})

    assert answer.status_code == 409
    client.http.post(f"/builds/{build_id}/cancel")
    assert client.ended(build_id)["status"] in {"cancelled", "failed"}


def test_a_build_that_prefect_saw_die_is_rolled_back(
    client: Client, prefect: PrefectServer, home: Path, spec: Path
) -> None:
    build_id = client.submit(spec, metadata={"seconds": 60})
    client.until_working(build_id)
    client.http.post(f"/builds/{build_id}/cancel")
    client.until_over(build_id)

    once(prefect, home, dead=False)

    client.until_rolled_back(build_id)


def test_a_roll_back_that_missed_a_host_is_repeated(
    client: Client, prefect: PrefectServer, home: Path, spec: Path
) -> None:
    build_id = client.submit(spec, metadata={"fails": "failed_deployment"})
    client.ended(build_id)
    store = ArtifactStore(home / "artifacts")
    store.write_value(build_id, artifacts.ROLLBACK_REPORT, MISSED_A_HOST)

    once(prefect, home)
    assert client.status(build_id)["rollback"]["rollback_status"] == "failed"
    once(prefect, home, later=timedelta(minutes=2))

    while client.status(build_id)["rollback"]["rollback_status"] != "success":
        time.sleep(0.1)  # the test's time limit ends it


def _without_tags(prefect: PrefectServer, build_id: str) -> None:
    async def change() -> None:
        async with open_gateway(prefect.api_url) as gateway:
            await gateway.set_tags(build_id, [])
            assert await gateway.count_builds(RunFilter(types=(StateType.COMPLETED,))) > 0

    asyncio.run(change())
