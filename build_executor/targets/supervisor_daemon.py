"""Supervisord as this product needs it: `python -I supervisor_daemon.py -c CONFIG`.

It is one of its folder, and is started again when it is killed. Its programs go on meanwhile: the
new one's wait, each with a lock on a file of its own, for the one of their name to end. Such a file
is inherited by whatever a program becomes, and says who that is.

Not to be imported: it is run by its path, since it needs nothing of this package.
"""

import fcntl
import os
import signal
import sys
import time
from pathlib import Path

from supervisor import options, poller, supervisord

_POLL_SECONDS = 0.1
_WAIT_SECONDS = 0.02
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


class AttentivePoller(poller.Poller):  # type: ignore[misc]  # it has no types
    """Of itself supervisord looks after its programs once a second: its poll sleeps on."""

    def poll(
        self, timeout: float
    ) -> tuple[list[int], list[int]]:  # pragma: no cover - in a process of its own
        """What can be read and written, and nothing if that takes long."""
        ready: tuple[list[int], list[int]] = super().poll(min(timeout, _POLL_SECONDS))
        return ready


class OrderlyOptions(options.ServerOptions):  # type: ignore[misc]  # the same
    """How a program becomes one: not before the one of its name has ended."""

    supervisor = 0
    alive = Path()

    def execve(
        self, filename: str, argv: list[str], env: dict[str, str]
    ) -> None:  # pragma: no cover
        """In the program's own process, which can be stopped already."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        file = self.alive / env["SUPERVISOR_PROCESS_NAME"]
        lock = os.open(file, os.O_RDONLY | os.O_CREAT, 0o600)
        while not _locks(lock):
            if os.getppid() != self.supervisor:
                os._exit(0)  # another one's program waits, too
            time.sleep(_WAIT_SECONDS)
        os.set_inheritable(lock, True)  # noqa: FBT003 - its only argument
        file.write_text(str(os.getpid()))
        super().execve(filename, argv, env)


def main(config: Path) -> None:  # pragma: no cover
    """Supervise; when that is killed, do so again. Nothing happens if somebody does it already."""
    with (config.parent / "only").open("w") as only:
        if not _locks(only.fileno()):
            return
        while (child := os.fork()) and os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            time.sleep(_POLL_SECONDS)
        if child == 0:
            _supervise(config.parent)


def _supervise(folder: Path) -> None:  # pragma: no cover
    OrderlyOptions.supervisor, OrderlyOptions.alive = os.getpid(), folder / "alive"
    poller.Poller, supervisord.ServerOptions = AttentivePoller, OrderlyOptions
    supervisord.main()


def _locks(descriptor: int) -> bool:  # pragma: no cover
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":  # pragma: no cover
    main(Path(sys.argv[2]))
