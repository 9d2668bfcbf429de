"""Do things on this host: `python3 -m build_executor.on_host ROOT VERB`.

`serve` reads lines, each a JSON list of a verb and its arguments, until its client is gone. Every
other verb reads one such object of arguments, and perhaps a stream after it, and ends. Each thing
is answered with a JSON line: `{"ok": true, ...}`, or `{"ok": false, "kind": ..., "error": ...}`
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
from build_executor.on_host.client import lines
from build_executor.on_host.places import Locked, Places, Refused
from build_executor.on_host.user_manager import Manager, UserManager
from build_executor.ports import NoPort, PortBook

_BEAT_SECONDS = 2.0

Order = dict[str, Any]
Answer = dict[str, Any]


class Host(NamedTuple):
    """What verbs work with; `stream` is what follows the arguments."""

    places: Places
    manager: Manager
    stream: IO[bytes]


def _record(host: Host, order: Order) -> Answer:
    ledger.record(host.places, order["service"], order["state"])
    return {}


def _is_installed(host: Host, order: Order) -> Answer:
    return {"is": releases.is_installed(host.places, order["service"], order["release"])}


def _put_packages(host: Host, order: Order) -> Answer:
    packages = (order["key"], order["digest"], order["size"])
    releases.put_packages(host.places, *packages, host.stream)
    return {}


def _install(host: Host, order: Order) -> Answer:
    releases.install(host.places, order["service"], order["release"], order, host.stream)
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
) -> None:
    """Do what `verb` and `stdin` say; every refusal is an answer."""
    host = Host(Places(root), manager or UserManager(), stdin)
    if verb == "serve":
        for asked, order in map(json.loads, lines(stdin)):
            _do(host, asked, order, stdout)
    elif verb == "lock":
        _hold_lock(host, stdout)
    else:
        _do(host, verb, json.loads(stdin.readline()), stdout)


def _do(host: Host, verb: str, order: Order, stdout: IO[bytes]) -> None:
    with _refusals_said(stdout):
        with _signs_of_life(stdout):
            answer = _VERBS[verb](host, order)
        _say(stdout, ok=True, **answer)


def _hold_lock(host: Host, stdout: IO[bytes]) -> None:
    said = lines(host.stream)
    order = json.loads(next(said))
    with _refusals_said(stdout), contextlib.ExitStack() as stack:
        with _signs_of_life(stdout):
            held = ledger.hold(host.places, order["service"], order)
            state = stack.enter_context(held)
        _say(stdout, ok=True, state=state)
        for _ in said:
            """The client lives."""


def _say(stdout: IO[bytes], **answer: object) -> None:
    stdout.write(json.dumps(answer).encode() + b"\n")
    stdout.flush()


@contextlib.contextmanager
def _refusals_said(stdout: IO[bytes]) -> Iterator[None]:
    try:
        yield
    except (Refused, NoPort, OSError) as error:
        kind = "locked" if isinstance(error, Locked) else "refused"
        _say(stdout, ok=False, kind=kind, error=_reason(error))


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
    main(Path(sys.argv[1]), sys.argv[2], sys.stdin.buffer, sys.stdout.buffer)
