"""The forwarder as a unit of this host, and its admin."""

import fcntl
import time
from pathlib import Path
from typing import Any

from build_executor.forwarder.ask import ask, insist
from build_executor.on_host.places import Places, Refused
from build_executor.on_host.units import SWITCH, switch_text
from build_executor.on_host.user_manager import Manager

SPARE = SWITCH.replace(".service", "-spare.service")
_START_SECONDS = 10.0
_POLL_SECONDS = 0.02
_CALL_SECONDS = 5.0


def exists(places: Places) -> bool:
    """Whether it ever had a route."""
    return (places.switch / "routes.json").exists()


def ensure_running(manager: Manager, places: Places, tools: Path, argv: list[str]) -> None:
    """Return when it answers; one that was started by another version of `tools` is replaced.

    A second one waits for the first to die, and is there at once then.
    """
    places.switch.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = switch_text(places, tools, argv)
    with (places.switch / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_up = _answers(places)
        for unit in (SWITCH, SPARE):
            _keep(manager, unit, text, is_up=is_up)
        _await(places, manager)


def _keep(manager: Manager, unit: str, text: str, *, is_up: bool) -> None:
    known = manager.text(unit)
    if known == text and is_up:
        return
    manager.run(unit, text)
    if known not in {None, text}:
        manager.restart(unit)


def admin(places: Places) -> Path:
    """The socket that it is asked at."""
    return places.switch / "admin.sock"


def order(places: Places, command: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Its answer; Refused if it has none."""
    try:
        return insist(admin(places), command, seconds)
    except OSError as error:
        raise Refused(f"the switch does not answer: {error}") from error


def _await(places: Places, manager: Manager) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(places):
        if time.monotonic() > deadline:
            raise Refused(f"the switch does not start: {manager.said(SWITCH)}")
        time.sleep(_POLL_SECONDS)


def _answers(places: Places) -> bool:
    try:
        return bool(ask(admin(places), {"do": "status"}, _CALL_SECONDS)["ok"])
    except OSError:
        return False
