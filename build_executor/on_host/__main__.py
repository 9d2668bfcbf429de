"""Do one thing on this host: `python3 -m build_executor.on_host ROOT VERB`.

The first line of stdin is a JSON object, the verb's arguments; a stream may follow. The last line
that is printed is a JSON object: `{"ok": true, ...}`, or `{"ok": false, "kind": ..., "error": ...}`
where `kind` is "locked" or "refused". Empty lines are printed meanwhile, as signs of life.
"""

import contextlib
import errno
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from build_executor.on_host import instances, ledger, releases, switch
from build_executor.on_host.places import Locked, Places, Refused
from build_executor.on_host.user_manager import Manager, UserManager
from build_executor.ports import NoPort, PortBook

_BEAT_SECONDS = 2.0

Order = dict[str, Any]
Answer = dict[str, Any]


class Host(NamedTuple):
    """What verbs work with; `say` prints a good answer."""

    places: Places
    manager: Manager
    stdin: IO[bytes]
    say: Callable[..., None]


def _record(host: Host, order: Order) -> Answer:
    ledger.record(host.places, order["service"], order["state"])
    return {}


def _lock(host: Host, order: Order) -> Answer:
    ledger.hold(host.places, order["service"], order, host.stdin, host.say)
    return {}


def _is_installed(host: Host, order: Order) -> Answer:
    return {"is": releases.is_installed(host.places, order["service"], order["release"])}


def _put_packages(host: Host, order: Order) -> Answer:
    packages = (order["key"], order["digest"], order["size"])
    releases.put_packages(host.places, *packages, host.stdin)
    return {}


def _install(host: Host, order: Order) -> Answer:
    releases.install(host.places, order["service"], order["release"], order, host.stdin)
    return {}


def _remove(host: Host, order: Order) -> Answer:
    releases.remove(host.places, order["service"], order["release"], order["fence"])
    return {}


def _start(host: Host, order: Order) -> Answer:
    which = (order["service"], order["release"], order["fence"])
    return {"address": instances.start(host.manager, host.places, *which)}


def _address(host: Host, order: Order) -> Answer:
    return {"address": instances.address(host.manager, order["service"], order["release"])}


def _complaint(host: Host, order: Order) -> Answer:
    return {"complaint": instances.complaint(host.manager, order["service"], order["release"])}


def _log(host: Host, order: Order) -> Answer:
    return {"log": instances.log(host.manager, order["service"], order["release"])}


def _stop(host: Host, order: Order) -> Answer:
    which = (order["service"], order["release"], order["fence"])
    instances.stop(host.manager, host.places, *which)
    return {}


def _reserve(host: Host, order: Order) -> Answer:
    book = PortBook(host.places.ports, order["host"])
    return {"port": book.reserve(order["service"], order["wanted"], order["routed"])}


def _switch_up(host: Host, order: Order) -> Answer:
    switch.ensure_running(host.manager, host.places, Path(order["tools"]), order["argv"])
    return {}


def _switch_ask(host: Host, order: Order) -> Answer:
    return {"answer": switch.order(host.places, order["command"], order["within"])}


_VERBS: dict[str, Callable[[Host, Order], Answer]] = {
    "services": lambda host, _: {"services": ledger.services(host.places)},
    "read": lambda host, order: {"state": ledger.read(host.places, order["service"])},
    "record": _record,
    "lock": _lock,
    "is_installed": _is_installed,
    "has_packages": lambda host, order: {"is": releases.has_packages(host.places, order["key"])},
    "put_packages": _put_packages,
    "install": _install,
    "remove": _remove,
    "start": _start,
    "address": _address,
    "complaint": _complaint,
    "log": _log,
    "stop": _stop,
    "reserve": _reserve,
    "switch_exists": lambda host, _: {"is": switch.exists(host.places)},
    "switch_up": _switch_up,
    "switch_ask": _switch_ask,
}


def main(
    root: Path, verb: str, stdin: IO[bytes], stdout: IO[bytes], manager: Manager | None = None
) -> int:
    """Do what `verb` and `stdin` say; the exit status."""

    def answer(**words: object) -> None:
        stdout.write(json.dumps(words).encode() + b"\n")
        stdout.flush()

    def say(**words: object) -> None:
        answer(ok=True, **words)

    host = Host(Places(root), manager or UserManager(), stdin, say)
    try:
        with _signs_of_life(stdout):
            answered = _VERBS[verb](host, json.loads(stdin.readline()))
    except (Refused, NoPort, OSError) as error:
        kind = "locked" if isinstance(error, Locked) else "refused"
        answer(ok=False, kind=kind, error=_reason(error))
        return 1
    say(**answered)
    return 0


@contextlib.contextmanager
def _signs_of_life(stdout: IO[bytes]) -> Iterator[None]:
    """Whoever waits for us can tell a host that works from one that hangs."""
    over = threading.Event()

    def beat() -> None:
        with contextlib.suppress(OSError):  # nobody waits any more
            while not over.wait(_BEAT_SECONDS):
                stdout.write(b"\n")
                stdout.flush()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk is full: {error}; remove something, or set KEEP_RELEASES lower"
    return str(error)


if __name__ == "__main__":  # pragma: no cover - what `python -m` runs
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.stdin.buffer, sys.stdout.buffer))
