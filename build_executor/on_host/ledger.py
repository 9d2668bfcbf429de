"""The state of services on this host, and the two locks around it.

The deploy lock is held for as long as its client lives; each lock has a higher fence than
the one before. The change lock is held for the moment of one change, which is refused if its fence
is old: a deployer that lost its connection, and its lock with it, changes nothing any more.
"""

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from build_executor.files import switch_link, write_atomically
from build_executor.on_host.places import Locked, Places, Refused
from build_executor.reserve import with_reserve

_POLL_SECONDS = 0.05
_CHANGE_SECONDS = 30.0  # no change takes longer

State = dict[str, Any]


def services(places: Places) -> list[str]:
    """The services that were ever deployed here."""
    return sorted(file.parent.name for file in places.root.glob("*/state.json"))


def read(places: Places, service: str) -> State | None:
    """What is recorded of a service; None if nothing is."""
    file = places.state(service)
    try:
        state = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        state = None
    if not isinstance(state, dict) or not isinstance(state.get("fence"), int):
        raise Refused(f"the state of {service} is damaged: {file}")
    return state


def record(places: Places, service: str, state: State) -> None:
    """Keep the state and let `current` follow; Locked if a later lock was taken."""
    with changing(places, service, int(state["fence"])):
        _write(places, service, state)


@contextlib.contextmanager
def changing(places: Places, service: str, fence: int) -> Iterator[None]:
    """One change at a time, and none under an old fence."""
    with _change_lock(places, service):
        known = _fence(read(places, service))
        if fence < known:
            message = f"a later deployment of {service} has taken over ({fence} < {known})"
            raise Locked(message)
        yield


@contextlib.contextmanager
def hold(places: Places, service: str, order: Mapping[str, Any]) -> Iterator[State]:
    """Take the deploy lock, give the state under it, and keep it for as long as the context lasts.

    `order` has `build`, `host` and `seconds`: who asks, and how long to wait. Locked names the
    holder. The death of this process frees the lock too.
    """
    file = places.service(service) / "deploy.lock"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    with file.open("a+") as lock:
        _acquire(lock, service, float(order["seconds"]))
        with_reserve(places.root, lambda: _sign(lock, order))
        with _change_lock(places, service):
            state = read(places, service) or {"service": service, "fence": 0}
            state["fence"] += 1
            _write(places, service, state)
        yield state
        lock.truncate(0)


def _acquire(lock: IO[str], service: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not _try_lock(lock):
        if time.monotonic() > deadline:
            raise Locked(f"{service} is being deployed by {_holder(lock)}")
        time.sleep(_POLL_SECONDS)


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _change_lock(places: Places, service: str) -> Iterator[None]:
    file = places.service(service) / "change.lock"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    with file.open("a") as lock:
        deadline = time.monotonic() + _CHANGE_SECONDS
        while not _try_lock(lock):
            if time.monotonic() > deadline:
                raise Refused(f"another change of {service} does not end")
            time.sleep(_POLL_SECONDS)
        yield


def _sign(lock: IO[str], order: Mapping[str, Any]) -> None:
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    lock.truncate(0)
    lock.write(json.dumps({"build": order["build"], "host": order["host"], "since": since}))
    lock.flush()


def _holder(lock: IO[str]) -> str:
    lock.seek(0)
    try:
        holder = json.loads(lock.read())
    except ValueError:
        return "somebody who has only just begun"
    return "build {build} (on {host}, since {since})".format(**holder)


def _fence(state: State | None) -> int:
    return int(state["fence"]) if state else 0


def _write(places: Places, service: str, state: State) -> None:
    file, content = places.state(service), json.dumps(state, indent=2).encode()
    with_reserve(places.root, lambda: write_atomically(file, content))
    live = state.get("live")
    current = places.service(service) / "current"
    switch_link(current, None if live is None else Path("releases") / live)
