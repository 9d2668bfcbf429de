from pathlib import Path

import pytest

from build_executor.targets.releases import CONFINED, ReleaseStore
from build_executor.targets.runtime import ProcessRuntime
from tests.fakes.supervisor import FakeSupervisor

NAME = "shop@1.0.0-abc"


@pytest.fixture
def supervisor() -> FakeSupervisor:
    return FakeSupervisor()


@pytest.fixture
def runtime(tmp_path: Path, supervisor: FakeSupervisor) -> ProcessRuntime:
    return ProcessRuntime(ReleaseStore(tmp_path, lock_seconds=0), supervisor)  # type: ignore[arg-type]


def test_an_instance_serves_its_release_folder_on_a_private_port(
    runtime: ProcessRuntime, supervisor: FakeSupervisor, tmp_path: Path
) -> None:
    address = runtime.start("shop", "1.0.0-abc")

    program = supervisor.kept[NAME]
    command = " ".join(program.argv)
    assert address.startswith("127.0.0.1:2")
    assert f"/.venv/bin/python -m uvicorn app.main:app --host 127.0.0.1 --port {address[10:]}" in (
        command
    )
    assert program.directory == tmp_path / "shop" / "releases" / "1.0.0-abc"
    assert program.environment["DATA_DIR"] == str(tmp_path / "shop" / "shared" / "data")


def test_a_release_that_a_model_had_a_part_in_runs_in_the_sandbox(
    runtime: ProcessRuntime, supervisor: FakeSupervisor, tmp_path: Path
) -> None:
    folder = tmp_path / "shop" / "releases" / "1.0.0-abc"
    folder.mkdir(parents=True)
    (folder / CONFINED).touch()
    records = tmp_path / "shop" / "shared" / "data" / "records.sqlite"
    records.parent.mkdir(parents=True)
    records.touch()

    address = runtime.start("shop", "1.0.0-abc")

    program = supervisor.kept[NAME]
    assert program.argv[0] == "bwrap"
    assert "--clearenv" in program.argv
    assert program.argv.count("prlimit") == 1
    assert program.environment["PORT"] == address.rpartition(":")[2]
    assert runtime.address("shop", "1.0.0-abc") == address
    assert records.stat().st_uid == records.parent.stat().st_uid


def test_a_running_instance_keeps_its_port(runtime: ProcessRuntime) -> None:
    address = runtime.start("shop", "1.0.0-abc")

    assert runtime.start("shop", "1.0.0-abc") == address
    assert runtime.address("shop", "1.0.0-abc") == address


def test_an_instance_that_cannot_come_up_gets_another_port(
    runtime: ProcessRuntime, supervisor: FakeSupervisor
) -> None:
    address = runtime.start("shop", "1.0.0-abc")
    supervisor.states[NAME] = "FATAL"

    assert runtime.start("shop", "1.0.0-abc") != address
    assert supervisor.state(NAME) == "RUNNING"


def test_a_stopped_instance_has_no_address(runtime: ProcessRuntime) -> None:
    runtime.start("shop", "1.0.0-abc")

    runtime.stop("shop", "1.0.0-abc")

    assert runtime.address("shop", "1.0.0-abc") is None


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        ("RUNNING", None),
        ("STARTING", None),
        ("BACKOFF", "its process ended: no such table"),
        ("ABSENT", "its process ended: no such table"),
    ],
)
def test_what_ended_an_instance_is_the_end_of_its_log(
    runtime: ProcessRuntime,
    supervisor: FakeSupervisor,
    tmp_path: Path,
    state: str,
    complaint: str | None,
) -> None:
    runtime.start("shop", "1.0.0-abc")
    supervisor.states[NAME] = state
    (tmp_path / "shop" / "shared" / "logs").mkdir(exist_ok=True)
    (tmp_path / "shop" / "shared" / "logs" / "1.0.0-abc.log").write_text("no such table\n")

    assert runtime.complaint("shop", "1.0.0-abc") == complaint


def test_an_instance_may_end_without_a_word(runtime: ProcessRuntime) -> None:
    assert runtime.complaint("shop", "1.0.0-abc") == "its process ended: it said nothing"


def test_an_instance_goes_on_while_its_supervisor_is_started_again(
    runtime: ProcessRuntime, supervisor: FakeSupervisor
) -> None:
    supervisor.pids[NAME] = 100
    runtime.start("shop", "1.0.0-abc")

    supervisor.states[NAME] = "ABSENT"

    assert runtime.complaint("shop", "1.0.0-abc") is None


def test_an_instance_that_was_started_again_by_itself_had_ended(
    runtime: ProcessRuntime, supervisor: FakeSupervisor
) -> None:
    supervisor.pids[NAME] = 100
    runtime.start("shop", "1.0.0-abc")
    assert runtime.complaint("shop", "1.0.0-abc") is None

    supervisor.pids[NAME] = 101

    assert runtime.complaint("shop", "1.0.0-abc") == (
        "its process ended and was started again: it said nothing"
    )
