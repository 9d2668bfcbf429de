"""Who works on a build, and whether that process still lives.

Prefect does not notice a dead runner by itself (PrefectHQ/prefect#16746), so a build records its
owner and whoever finds the owner gone may clean up after it. Starts are counted from the boot and
not on the clock: a clock that is set would make a living owner look like another process.
"""

import os
import socket
from pathlib import Path

from build_executor.models import Owner

_GONE = frozenset({"Z", "X"})  # a zombie has ended, whoever has yet to bury it
_STATE, _START_TICKS = 0, 19  # fields 3 and 22 of proc(5), counted behind the name


def this_process() -> Owner:
    """The owner that a build run by this process records."""
    pid = os.getpid()
    return Owner(
        host=socket.gethostname(), boot_id=_boot_id(), pid=pid, start_ticks=start_ticks(pid) or 0
    )


def is_alive(owner: Owner) -> bool:
    """Whether the owner still runs; one on another host cannot be judged and counts as alive."""
    if not is_of_this_host(owner):
        return True
    return owner.boot_id == _boot_id() and start_ticks(owner.pid) == owner.start_ticks


def is_of_this_host(owner: Owner) -> bool:
    """Whether it can be judged here."""
    return owner.host == socket.gethostname()


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks after the boot; None if it does not run."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE] in _GONE else int(fields[_START_TICKS])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
