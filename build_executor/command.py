"""The only place that starts processes.

Every command is an argv list with a time limit and a clean environment. It runs in a session of its
own and asks the kernel to be killed when its parent dies, so neither a cancelled nor a killed build
leaves one behind: a plain child survives both (measured with Prefect 3.8).
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from build_executor.errors import CommandFailed
from build_executor.models import Value

_PR_SET_PDEATHSIG = 1
_OUTPUT_LIMIT = 4 * 1024 * 1024
_SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"


_LAUNCHER = """
import subprocess, sys
with open(sys.argv[1], "ab") as log:
    process = subprocess.Popen(
        sys.argv[2:], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
print(process.pid)
process.returncode = 0  # left alone on purpose
"""


class Finished(Value):
    """A command that exited with 0: its output, stderr mixed in, at most 4 MiB of it."""

    output: str


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment without this process's secrets: PATH, HOME, a UTF-8 locale, and `extra`."""
    return {"PATH": _SEARCH_PATH, "HOME": "/tmp", "LANG": "C.UTF-8", **(extra or {})}  # noqa: S108


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    before_exec: Callable[[], None] | None = None,
) -> Finished:
    """The command's output; CommandFailed with its tail if it fails, is missing or takes too long.

    `environment` is the whole environment of the command (default: `clean_environment()`).
    """
    # A file, not a pipe: a pipe would stay open for as long as a child that was left behind lives,
    # and everything that is written to it would be held in memory.
    with tempfile.TemporaryFile() as output:
        process = _popen(argv, output.fileno(), cwd, environment, before_exec)
        try:
            exit_code: int | None = process.wait(timeout)
        except subprocess.TimeoutExpired:
            exit_code = None
        finally:
            _kill_group(process)
        text = _tail(output)
    if exit_code != 0:
        raise CommandFailed(argv, exit_code, text)
    return Finished(output=text)


def start(
    argv: Sequence[str],
    *,
    log: Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    before_exec: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    """A running process whose output goes to `log`; it dies with this one. End it with `stop`."""
    with log.open("ab") as stream:
        return _popen(argv, stream.fileno(), cwd, environment, before_exec)


def start_detached(
    argv: Sequence[str],
    *,
    log: Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """The pid of a process that outlives this one, in a session of its own; output goes to `log`.

    A small process in between starts it and ends, so that it is nobody's child here.
    """
    launcher = (sys.executable, "-I", "-S", "-c", _LAUNCHER, str(log))
    started = run([*launcher, *argv], timeout=30, cwd=cwd, environment=environment)
    return int(started.output)


def stop(process: subprocess.Popen[bytes], *, grace: float = 5) -> None:
    """End the process and its group: SIGTERM, `grace` seconds, SIGKILL; returns when it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _kill_group(process)


def _popen(
    argv: Sequence[str],
    output: int,
    cwd: Path | None,
    environment: Mapping[str, str] | None,
    before_exec: Callable[[], None] | None,
) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def prepare() -> None:  # pragma: no cover - runs in the child, between fork and exec
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the line above took effect
            os._exit(127)
        if before_exec is not None:
            before_exec()

    try:
        return subprocess.Popen(  # noqa: S603 - an argv list, no shell
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(clean_environment() if environment is None else environment),
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 - flow runs are single-threaded where it matters
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise CommandFailed(argv, 127, str(error)) from error


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the command if it still runs, and the children that it left in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(output: BinaryIO) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _OUTPUT_LIMIT))
    return output.read(_OUTPUT_LIMIT).decode("utf-8", errors="replace")
