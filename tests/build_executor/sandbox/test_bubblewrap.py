"""The wall, attacked from inside: each test runs hostile code in the real sandbox."""

import os
import shutil
import signal
import socket
import subprocess  # noqa: TID251 - these tests kill the process that owns a sandbox
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from build_executor import command
from build_executor.errors import CommandFailed
from build_executor.sandbox.bubblewrap import Bubblewrap, outer_argv
from build_executor.sandbox.confinement import Confinement, Limits

needs_bubblewrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bwrap here")
pytestmark = needs_bubblewrap


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder of its own for the command to write to."""
    room = tmp_path / "room"
    room.mkdir()
    return room


def attack(room: Path, code: str, timeout: float = 20, **limits: int) -> str:
    """What hostile Python code says from inside."""
    confinement = Confinement(
        workdir=room, writable=(room,), environment={"PYTHONDONTWRITEBYTECODE": "1"}
    )
    python = str(Path(sys.base_prefix) / "bin" / "python3")
    argv = (python, "-c", textwrap.dedent(code))
    return Bubblewrap(limits=Limits(**limits)).run(argv, confinement, timeout=timeout).output


def test_it_works_here() -> None:
    Bubblewrap().probe()


def test_it_may_write_into_its_own_folder(room: Path) -> None:
    attack(room, "open('note', 'w').write('hello')")

    assert (room / "note").read_text() == "hello"


def test_no_secret_is_in_any_environment(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-7f3a")

    said = attack(
        room,
        """
        import glob, os
        print(os.environ)
        for path in glob.glob("/proc/[0-9]*/environ"):
            try: print(open(path, "rb").read())
            except OSError as error: print(error)
        """,
    )

    assert "canary-7f3a" not in said
    assert "/usr/bin" in said


@pytest.mark.parametrize("path", ["/root/.ssh", "/etc/shadow", "/home", "/var", "/work", "/sys"])
def test_the_machine_is_not_there(room: Path, path: str) -> None:
    assert "False" in attack(room, f"import os; print(os.path.exists({path!r}))")


@pytest.mark.parametrize("path", ["/usr/evil", "/etc/evil", "/evil", "/lib/evil"])
def test_what_is_there_cannot_be_written(room: Path, path: str) -> None:
    said = attack(
        room,
        f"""
        try: open({path!r}, "w"); print("written")
        except OSError as error: print("refused", error)
        """,
    )

    assert "refused" in said or not Path(path).exists()
    assert not Path(path).exists()


def test_neighbours_are_not_there(room: Path, tmp_path: Path) -> None:
    (tmp_path / "neighbour").write_text("private")

    assert "['room']" in attack(room, f"import os; print(os.listdir({str(tmp_path)!r}))")


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A port of this machine's loopback, and what came in there."""
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                came.append(b"somebody")
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1], came
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_there_is_no_network_but_its_own(room: Path, listener: tuple[int, list[bytes]]) -> None:
    port, came = listener

    said = attack(
        room,
        f"""
        import socket
        for host, port in (("127.0.0.1", {port}), ("192.0.2.1", 80)):
            try: socket.create_connection((host, port), 2); print("reached", host)
            except OSError as error: print("no", error)
        with socket.create_server(("127.0.0.1", 0)) as own:
            socket.create_connection(own.getsockname()).close(); print("own loopback works")
        """,
    )

    assert "reached" not in said
    assert "own loopback works" in said
    assert came == []


def test_processes_are_limited(room: Path) -> None:
    said = attack(
        room,
        """
        import os, time
        made = 0
        try:
            while made < 200:
                if os.fork() == 0: time.sleep(60); os._exit(0)
                made += 1
        except OSError: pass
        print("made", made, flush=True)
        os._exit(0)
        """,
        processes=40,
    )

    assert int(said.split()[-1]) < 40


def test_memory_and_files_are_limited(room: Path) -> None:
    said = attack(
        room,
        """
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try: bytearray(900_000_000)
        except MemoryError: print("no memory")
        try: open("large", "wb").write(bytes(9_000_000))
        except OSError: print("no space")
        """,
        memory_bytes=500_000_000,
        file_bytes=1_000_000,
    )

    assert said.split("\n")[:2] == ["no memory", "no space"]


def test_it_has_no_capability_and_no_further_namespace(room: Path) -> None:
    said = attack(
        room,
        """
        import ctypes, os
        print([line for line in open("/proc/self/status") if line.startswith(("CapEff", "NoNew"))])
        print("unshare", ctypes.CDLL(None).unshare(0x10000000), "user", os.getuid())
        """,
    )

    assert "CapEff:\\t0000000000000000" in said
    assert "NoNewPrivs:\\t1" in said
    assert "unshare -1" in said
    assert f"user {64001 if os.geteuid() == 0 else os.getuid()}" in said


def survivors(mark: str) -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    return [p for p in found if mark in " ".join(p.info["cmdline"] or [])]


def wait_for(mark: str, *, alive: bool) -> bool:
    """Whether a process with this mark appears, or disappears, within ten seconds."""
    for _ in range(200):
        if bool(survivors(mark)) is alive:
            return True
        time.sleep(0.05)
    return False


DAEMONS = """
import os, subprocess, sys, time
for _ in range(3):
    subprocess.Popen(["sleep", "{mark}"], start_new_session=True)
time.sleep(60)
"""


@pytest.mark.full
def test_nothing_survives_when_its_time_is_over(room: Path) -> None:
    with pytest.raises(CommandFailed, match="ran out of time"):
        attack(room, DAEMONS.format(mark="7177.5"), timeout=1)

    assert wait_for("sleep 7177.5", alive=False)


@pytest.mark.full
def test_nothing_survives_when_it_is_stopped(room: Path, tmp_path: Path) -> None:
    confinement = Confinement(workdir=room, writable=(room,))
    python = str(Path(sys.base_prefix) / "bin" / "python3")
    argv = (python, "-c", DAEMONS.format(mark="7288.5"))
    process = Bubblewrap().start(argv, confinement, log=tmp_path / "log")
    assert wait_for("sleep 7288.5", alive=True)

    command.stop(process)

    assert wait_for("sleep 7288.5", alive=False)


@pytest.mark.full
def test_nothing_survives_the_death_of_its_owner(room: Path) -> None:
    owner = f"""
import sys
from pathlib import Path
from build_executor.sandbox import Confinement
from build_executor.sandbox.bubblewrap import Bubblewrap
room = Path({str(room)!r})
argv = (sys.base_prefix + "/bin/python3", "-c", {DAEMONS.format(mark="7399.5")!r})
Bubblewrap().run(argv, Confinement(workdir=room, writable=(room,)), timeout=60)
"""
    with subprocess.Popen([sys.executable, "-c", owner]) as process:  # noqa: S603 - our own code
        assert wait_for("sleep 7399.5", alive=True)

        process.send_signal(signal.SIGKILL)

    assert wait_for("sleep 7399.5", alive=False)


def test_the_hosts_network_is_there_only_if_asked_for(
    room: Path, listener: tuple[int, list[bytes]]
) -> None:
    port, came = listener
    confinement = Confinement(workdir=room, host_network=True)
    code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2).close()"

    Bubblewrap().run(
        (str(Path(sys.base_prefix) / "bin" / "python3"), "-c", code), confinement, timeout=20
    )

    assert wait_until(lambda: came == [b"somebody"])


@pytest.mark.full
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_can_use_it_too(room: Path) -> None:
    os.chown(room, 64001, 64001)
    repository = Path(__file__).parents[3]
    confinement = Confinement(
        workdir=repository, readable=(Path(sys.prefix),), writable=(room,), host_network=True
    )
    code = """
import os
from build_executor.sandbox.bubblewrap import Bubblewrap
Bubblewrap().probe()
print("works for", os.getuid())
"""
    argv = (*outer_argv("bwrap", confinement), sys.executable, "-c", code)
    environment = command.clean_environment({"TMPDIR": str(room)})

    said = command.run(argv, timeout=30, cwd=repository, environment=environment)

    assert said.output == "works for 64001\n"


def wait_until(condition: Callable[[], bool]) -> bool:
    for _ in range(100):
        if condition():
            return True
        time.sleep(0.02)
    return False
