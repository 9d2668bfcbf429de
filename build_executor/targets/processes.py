"""Ending processes that are nobody's children: asked first, killed when they do not listen."""

import contextlib
import time
from collections.abc import Sequence

import psutil

_STOP_SECONDS = 15.0  # more than any program is given
_POLL_SECONDS = 0.02


def end(processes: Sequence[psutil.Process]) -> None:
    """End these processes, by force where they do not listen."""
    for send in (psutil.Process.terminate, psutil.Process.kill):
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                send(process)
        deadline = time.monotonic() + _STOP_SECONDS
        while (processes := [p for p in processes if lives(p)]) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def lives(process: psutil.Process) -> bool:
    """A zombie is over; its new parent may take its time to notice."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
