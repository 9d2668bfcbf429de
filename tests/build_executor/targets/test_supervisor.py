"""With a real supervisord: what it does on paper is not what this product depends on."""

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from build_executor import command
from build_executor.errors import DeploymentFailed, InvalidSettings
from build_executor.targets import supervisor as supervisor_module
from build_executor.targets import supervisor_daemon
from build_executor.targets.processes import lives
from build_executor.targets.supervisor import ABSENT, Program, Supervisor
from build_executor.targets.unix_sockets import socket_path
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
    """Ensured, and past the moment between fork and exec in which it is not yet itself."""
    supervisor.ensure(program)
    while not program.log.exists() or says not in program.log.read_text():
        pass
    return processes(supervisor)


def processes(supervisor: Supervisor) -> list[psutil.Process]:
    """Supervisord and its programs."""
    daemon = psutil.Process(int((supervisor.folder / "supervisord.pid").read_text()))
    return [daemon, *daemon.children()]


def guardian(supervisor: Supervisor) -> psutil.Process:
    """Who starts supervisord again."""
    parent = processes(supervisor)[0].parent()
    assert parent is not None
    return parent


def everyone(supervisor: Supervisor) -> list[psutil.Process]:
    """All that belongs to the folder, or says so."""
    config = str(supervisor.folder / "supervisord.conf")
    url = f"unix://{socket_path(supervisor.folder, 'supervisor.sock')}"
    return [
        process
        for process in psutil.process_iter()
        if lives(process) and (config in _arguments(process) or _server(process) == url)
    ]


def kill(supervisor: Supervisor, *, guarded: bool = True) -> None:
    """End supervisord; returns when it is over, and there is a new one where that is expected."""
    daemon = processes(supervisor)[0]
    if not guarded:
        guardian(supervisor).kill()
    daemon.kill()
    while lives(daemon) or supervisor.is_running() is not guarded:
        pass


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _server(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("SUPERVISOR_SERVER_URL")
    except psutil.Error:
        return None


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


def test_a_killed_supervisor_is_back_and_its_programs_have_gone_on(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    shop = program(tmp_path)
    before, orphan = up(supervisor, shop)

    kill(supervisor)

    assert processes(supervisor)[0] != before
    assert lives(orphan)
    assert supervisor.pid(shop.name) == orphan.pid

    orphan.kill()

    while shop.log.read_text().count("hello") < 2:
        pass
    assert supervisor.pid(shop.name) == processes(supervisor)[1].pid


def test_of_supervisors_that_are_killed_one_after_the_other_one_program_remains(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    shop = program(tmp_path)
    _, orphan = up(supervisor, shop)

    kill(supervisor)
    kill(supervisor)
    supervisor.forget(shop.name)

    assert not lives(orphan)
    while len(everyone(supervisor)) > 2:
        pass
    assert everyone(supervisor) == [guardian(supervisor), *processes(supervisor)]


def test_programs_of_a_supervisor_that_nobody_brings_back_go_on_until_the_next_one_ends_them(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    shop = program(tmp_path)
    _, orphan = up(supervisor, shop)

    kill(supervisor, guarded=False)

    assert lives(orphan)
    assert supervisor.pid(shop.name) == orphan.pid

    up(supervisor, program(tmp_path, "goodbye"), "goodbye")

    assert not lives(orphan)
    assert supervisor.pid(shop.name) == processes(supervisor)[1].pid


def test_a_program_whose_process_is_over_has_none_until_it_is_started_again(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    shop = program(tmp_path)
    supervisor.start()
    over = command.start((sys.executable, "-c", "pass"), log=tmp_path / "over.log")
    (supervisor.folder / "alive" / shop.name).write_text(str(over.pid))

    while lives(psutil.Process(over.pid)):
        pass
    assert supervisor.pid(shop.name) == 0

    over.wait(30)
    up(supervisor, shop)

    assert supervisor.pid(shop.name) == processes(supervisor)[1].pid


def test_there_is_one_supervisor_of_a_folder(supervisor: Supervisor, tmp_path: Path) -> None:
    before = up(supervisor, program(tmp_path))
    argv = (sys.executable, "-I", str(Path(supervisor_daemon.__file__)), "-c")

    said = command.run((*argv, str(supervisor.folder / "supervisord.conf")), timeout=30)

    assert said.output == ""
    assert everyone(supervisor) == [guardian(supervisor), *before]


def test_a_program_whose_orphan_had_its_port_starts_once_the_port_is_free(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    port = free_port()
    code = "import os, signal, socket, time;"
    code += " signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), os._exit(0)));"
    code += f" s = socket.create_server(('127.0.0.1', {port}));"
    code += " print('hello', flush=True); time.sleep(600)"
    argv = (sys.executable, "-I", "-S", "-c", code)
    _, orphan = up(supervisor, program(tmp_path).model_copy(update={"argv": argv}))
    kill(supervisor)

    orphan.terminate()

    while lives(orphan) or not accepts(port):
        pass
    assert supervisor.state("shop@1.0.0-abc") in {"STARTING", "RUNNING"}


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
