"""Who works on a build, and whether that process still lives.

Prefect does not notice a dead runner by itself (PrefectHQ/prefect#16746), so a build records its
owner and whoever finds the owner gone may clean up after it.
"""

import socket

import psutil

from build_executor.models import Owner

_CLOCK_TOLERANCE_SECONDS = 2.0


def this_process() -> Owner:
    """The owner that a build run by this process records."""
    process = psutil.Process()
    return Owner(host=socket.gethostname(), pid=process.pid, started_at=process.create_time())


def is_alive(owner: Owner) -> bool:
    """Whether the owner still runs; one on another host cannot be judged and counts as alive."""
    if owner.host != socket.gethostname():
        return True
    try:
        process = psutil.Process(owner.pid)
        same = abs(process.create_time() - owner.started_at) < _CLOCK_TOLERANCE_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
