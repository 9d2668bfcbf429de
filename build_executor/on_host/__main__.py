"""Do one thing on this host: `python3 -m build_executor.on_host ROOT VERB`.

The first line of stdin is a JSON object, the verb's arguments; a stream may follow. The last line
that is printed is a JSON object: `{"ok": true, ...}`, or `{"ok": false, "kind": ..., "error": ...}`
where `kind` is "locked" or "refused".
"""

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from build_executor.on_host import instances, ledger, releases, switch
from build_executor.on_host.places import Locked, Places, Refused
from build_executor.ports import NoPort, PortBook

Order = dict[str, Any]
Answer = dict[str, Any]
Verb = Callable[[Places, Order], Answer]


def _lock(places: Places, order: Order) -> Answer:
    ledger.hold(places, order["service"], order, sys.stdin.buffer, say)
    return {}


def _record(places: Places, order: Order) -> Answer:
    ledger.record(places, order["service"], order["state"])
    return {}


def _put_packages(places: Places, order: Order) -> Answer:
    releases.put_packages(places, order["key"], order["digest"], order["size"], sys.stdin.buffer)
    return {}


def _install(places: Places, order: Order) -> Answer:
    releases.install(places, order["service"], order["release"], order, sys.stdin.buffer)
    return {}


def _remove(places: Places, order: Order) -> Answer:
    releases.remove(places, order["service"], order["release"], order["fence"])
    return {}


def _start(places: Places, order: Order) -> Answer:
    address = instances.start(places, order["service"], order["release"], order["fence"])
    return {"address": address}


def _stop(places: Places, order: Order) -> Answer:
    instances.stop(places, order["service"], order["release"], order["fence"])
    return {}


def _reserve(places: Places, order: Order) -> Answer:
    book = PortBook(places.ports, order["host"])
    return {"port": book.reserve(order["service"], order["wanted"], order["routed"])}


def _switch_up(places: Places, order: Order) -> Answer:
    switch.ensure_running(places, Path(order["tools"]), order["argv"])
    return {}


_VERBS: dict[str, Verb] = {
    "services": lambda places, _: {"services": ledger.services(places)},
    "read": lambda places, order: {"state": ledger.read(places, order["service"])},
    "record": _record,
    "lock": _lock,
    "is_installed": lambda places, order: {
        "is": releases.is_installed(places, order["service"], order["release"])
    },
    "has_packages": lambda places, order: {"is": releases.has_packages(places, order["key"])},
    "put_packages": _put_packages,
    "install": _install,
    "remove": _remove,
    "start": _start,
    "address": lambda _, order: {"address": instances.address(order["service"], order["release"])},
    "complaint": lambda _, order: {
        "complaint": instances.complaint(order["service"], order["release"])
    },
    "log": lambda _, order: {"log": instances.log(order["service"], order["release"])},
    "stop": _stop,
    "reserve": _reserve,
    "switch_exists": lambda places, _: {"is": switch.exists(places)},
    "switch_up": _switch_up,
    "switch_ask": lambda places, order: {
        "answer": switch.order(places, order["command"], order["within"])
    },
}


def say(**answer: object) -> None:
    """Print a good answer."""
    print(json.dumps({"ok": True, **answer}), flush=True)  # noqa: T201 - its result


def main(root: Path, verb: str) -> int:
    """Do what `verb` and stdin say; the exit status."""
    try:
        order = json.loads(sys.stdin.buffer.readline())
        say(**_VERBS[verb](Places(root), order))
    except (Refused, NoPort, OSError) as error:
        kind = "locked" if isinstance(error, Locked) else "refused"
        answer = {"ok": False, "kind": kind, "error": _reason(error)}
        print(json.dumps(answer), flush=True)  # noqa: T201 - its result
        return 1
    return 0


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk is full: {error}; remove something, or set KEEP_RELEASES lower"
    return str(error)


if __name__ == "__main__":  # pragma: no cover - what `python -m` runs
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
