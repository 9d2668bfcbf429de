"""Space that is kept back below a root folder, so that the way back is open when the disk is full.

A release may fill its host's disk, and is the one to be taken back then: that writes some lines,
of which each replaces a file. The standard library alone: production hosts run this too.
"""

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_NAME = ".reserve"
_BYTES = 2**20
_FULL = {errno.ENOSPC, errno.EDQUOT}
_Result = TypeVar("_Result")


def keep_reserve(root: Path) -> None:
    """Keep space back, unless that was done or there is none."""
    file = root / _NAME
    with contextlib.suppress(OSError):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _BYTES)
        finally:
            os.close(descriptor)


def with_reserve(root: Path, write: Callable[[], _Result]) -> _Result:
    """What `write` gives; on a full disk it is tried again with the space that was kept back.

    OSError that names the folder if that is not enough, or is used up.
    """
    try:
        return write()
    except OSError as error:
        if error.errno not in _FULL:
            raise
    (root / _NAME).unlink(missing_ok=True)
    try:
        return write()
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise OSError(error.errno, os.strerror(errno.ENOSPC), str(root)) from error
