"""With a real supervisord: what it does on paper is not what this product depends on."""

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from build_executor.errors import DeploymentFailed, InvalidSettings
from build_executor.targets import supervisor as supervisor_module
from build_executor.targets.processes import lives
from build_executor.targets.supervisor import ABSENT, Program, Supervisor
from tests.ports import free_port


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "s")
    yield supervisor
    supervisor.shut_down()


def program(folder: Path, says: str = "hello") -> Program:
    code = f"import time; print({says!r}, flush=True); time.sleep(600)"
    argv = (sys.executable, "-I", "-S", "-c", code)
    log = folder / "logs" / "shop.log"
    return Program(name="shop@1.0.0-abc", argv=argv, directory=folder, log=log)


def up(supervisor: Supervisor, program: Program, says: str = "hello") -> list[psutil.Process]:
    """Ensured, and past the moment between fork and exec in which a signal is lost."""
    supervisor.ensure(program)
    while not program.log.exists() or says not in program.log.read_text():
        pass
    return processes(supervisor)


def processes(supervisor: Supervisor) -> list[psutil.Process]:
    config = str(supervisor.folder / "supervisord.conf")
    daemon = next(p for p in psutil.process_iter() if config in _arguments(p))
    return [daemon, *daemon.children()]


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_program_is_kept_running_until_it_is_forgotten(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    shop = program(tmp_path)

    started = up(supervisor, shop)
    supervisor.ensure(shop)

    assert processes(supervisor) == started
    assert supervisor.programs() == [shop.name]
    assert supervisor.state(shop.name) in {"STARTING", "RUNNING"}

    supervisor.forget(shop.name)

    assert not started[1].is_running()
    assert supervisor.state(shop.name) == ABSENT
    assert supervisor.definition(shop.name) is None


def test_a_program_has_a_process_as_long_as_it_runs(supervisor: Supervisor, tmp_path: Path) -> None:
    assert supervisor.pid("shop@1.0.0-abc") == 0

    started = up(supervisor, program(tmp_path))

    assert supervisor.pid("shop@1.0.0-abc") in {process.pid for process in started}


def test_a_program_that_is_configured_otherwise_is_replaced(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    before = up(supervisor, program(tmp_path))

    after = up(supervisor, program(tmp_path, "goodbye"), "goodbye")

    assert after[0] == before[0]
    assert after[1:] != before[1:]


def test_down_ends_all_programs_and_up_brings_them_back(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    before = up(supervisor, program(tmp_path))

    supervisor.shut_down()
    supervisor.shut_down()

    assert not any(lives(process) for process in before)
    assert not supervisor.is_running()

    supervisor.start()

    assert len(processes(supervisor)) == 2


def test_programs_of_a_killed_supervisor_are_replaced(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    daemon, orphan = up(supervisor, program(tmp_path))
    daemon.kill()

    supervisor.start()

    assert not lives(orphan)
    assert len(processes(supervisor)) == 2


def test_a_program_whose_orphan_had_its_port_starts_once_the_port_is_free(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    port = free_port()
    code = "import os, signal, socket, time;"
    code += " signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), os._exit(0)));"
    code += f" s = socket.create_server(('127.0.0.1', {port}));"
    code += " print('hello', flush=True); time.sleep(600)"
    argv = (sys.executable, "-I", "-S", "-c", code)
    daemon, orphan = up(supervisor, program(tmp_path).model_copy(update={"argv": argv}))
    daemon.kill()

    supervisor.start()

    while len(processes(supervisor)) < 2 or not accepts(port):
        pass
    assert not lives(orphan)


def test_forgetting_and_ending_what_never_ran_starts_nothing(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "s")

    supervisor.forget("shop@1")
    supervisor.shut_down()

    assert not (tmp_path / "s").exists()


def test_what_supervisord_refuses_is_an_error(supervisor: Supervisor, tmp_path: Path) -> None:
    bad = program(tmp_path).model_copy(update={"stop_seconds": "soon"})

    with pytest.raises(DeploymentFailed, match="the supervisor of"):
        supervisor.ensure(bad)

    assert supervisor.programs() == []


def test_a_supervisor_that_does_not_start_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "_START_SECONDS", 0)
    monkeypatch.setattr(Supervisor, "_argv", lambda _: (sys.executable, "-c", "exit('no config')"))

    with pytest.raises(DeploymentFailed, match="supervisord does not start"):
        Supervisor(tmp_path / "s").start()


def test_a_percent_sign_is_no_variable_in_a_program(tmp_path: Path) -> None:
    text = program(tmp_path, "100%").render()

    assert "100%%" in text


def test_a_folder_that_supervisord_cannot_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="supervisord cannot read"):
        Supervisor(tmp_path / "semi;colon")
