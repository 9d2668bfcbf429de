import os
import signal
import subprocess  # noqa: TID251 - one test kills the process that owns a command
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from build_executor import command
from build_executor.errors import CommandFailed


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", code)


def is_gone(pid: int) -> bool:
    """Whether the process ends within ten seconds."""
    for _ in range(500):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def pid_in(path: Path) -> int:
    """The pid that a child writes to a file, once it has."""
    for _ in range(500):
        if path.exists() and (text := path.read_text()).endswith("\n"):
            return int(text)
        time.sleep(0.02)
    raise AssertionError("no child appeared")


def test_a_command_says_what_it_says_on_both_streams() -> None:
    finished = command.run(
        python("import sys; print('out', flush=True); print('err', file=sys.stderr)"), timeout=20
    )

    assert finished.output == "out\nerr\n"


def test_a_command_that_fails_carries_its_code_and_its_last_words() -> None:
    with pytest.raises(CommandFailed) as failure:
        command.run(python("print('x' * 9); raise SystemExit(3)"), timeout=20)

    assert (failure.value.exit_code, failure.value.output) == (3, "xxxxxxxxx\n")


@pytest.mark.parametrize("argv", [("/no/such/program",), ("/etc/hosts",), ("echo", "\0")])
def test_a_command_that_cannot_be_started_has_failed(argv: tuple[str, ...]) -> None:
    with pytest.raises(CommandFailed) as failure:
        command.run(argv, timeout=20)

    assert failure.value.exit_code == 127


def test_a_command_that_cannot_be_prepared_has_failed() -> None:
    def refuse() -> None:
        raise RuntimeError

    with pytest.raises(CommandFailed):
        command.run(("true",), timeout=20, before_exec=refuse)


def test_a_command_that_takes_too_long_is_killed_with_what_it_started(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/pid; trap '' TERM; echo begun; wait"

    with pytest.raises(CommandFailed, match="ran out of time: begun"):
        command.run(("sh", "-c", script), timeout=0.3)

    assert is_gone(pid_in(tmp_path / "pid"))


def test_a_child_that_is_left_behind_neither_delays_nor_survives(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/pid; echo done"

    finished = command.run(("sh", "-c", script), timeout=20)

    assert finished.output == "done\n"
    assert is_gone(pid_in(tmp_path / "pid"))


def test_an_interrupted_wait_ends_the_command(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            command.run(("sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"), timeout=20)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)

    assert is_gone(pid_in(tmp_path / "pid"))


def test_only_the_end_of_a_flood_is_kept() -> None:
    finished = command.run(python("print('a' * 5_000_000, end='z')"), timeout=20)

    assert len(finished.output) == 4 * 1024 * 1024
    assert finished.output.endswith("az")


def test_our_secrets_are_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary")

    said = command.run(("env",), timeout=20).output

    assert sorted(line.split("=")[0] for line in said.split()) == ["HOME", "LANG", "PATH"]


def test_a_command_gets_the_environment_and_the_folder_it_is_given(tmp_path: Path) -> None:
    environment = command.clean_environment({"COLOUR": "red"})

    said = command.run(
        ("sh", "-c", "echo $COLOUR; pwd"), timeout=20, cwd=tmp_path, environment=environment
    )

    assert said.output == f"red\n{tmp_path}\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_a_started_command_writes_to_its_log_and_can_be_stopped(log: Path) -> None:
    process = command.start(("sh", "-c", "echo $$; exec sleep 60"), log=log)
    assert pid_in(log) == process.pid

    command.stop(process)

    assert process.returncode == -signal.SIGTERM


def test_a_command_that_ignores_the_polite_signal_is_stopped_too(log: Path) -> None:
    process = command.start(
        ("sh", "-c", "trap '' TERM; echo $$; while :; do sleep 1; done"), log=log
    )
    pid_in(log)

    command.stop(process, grace=0.1)

    assert process.returncode == -signal.SIGKILL


def test_a_command_that_has_ended_can_be_stopped(log: Path) -> None:
    process = command.start(("true",), log=log)
    process.wait(20)

    command.stop(process)

    assert process.returncode == 0


@pytest.fixture
def detached(log: Path) -> Iterator[int]:
    pid = command.start_detached(("sleep", "60"), log=log)
    yield pid
    os.kill(pid, signal.SIGKILL)


def test_a_detached_command_is_nobodys_child_here(detached: int) -> None:
    process = psutil.Process(detached)

    assert process.is_running()
    assert process.ppid() != os.getpid()
    assert os.getsid(detached) != os.getsid(0)


@pytest.mark.full
def test_a_command_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    owner = f"""
from build_executor import command
command.run(("sh", "-c", "echo $$ > {tmp_path}/pid; exec sleep 60"), timeout=60)
"""
    with subprocess.Popen([sys.executable, "-c", owner]) as process:  # noqa: S603 - our own code
        child = pid_in(tmp_path / "pid")

        process.kill()

    assert is_gone(child)
