"""Forward until SIGTERM; admin commands are JSON lines on a unix socket.

    {"do": "point", "service": s, "port": n, "upstream": "host:port", "release": s, "fence": n,
     "candidate": null or {"upstream": "host:port", "release": s, "share": percent,
                           "header": [name, value], "cookie": [name, value], "preview_port": n}}
    {"do": "remove", "service": s, "fence": n}
    {"do": "drain", "upstream": "host:port", "seconds": n}
    {"do": "status"}

Each is answered with one line, `{"ok": true, ...}` or `{"ok": false, "error": "..."}`.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from build_executor.forwarder.connection import Patience
from build_executor.forwarder.routes import Refused, Route
from build_executor.forwarder.table import Forwarder

PUBLIC_HOST = "127.0.0.1"


class Ending(NamedTuple):
    """What says that it is over, and whom to tell when the ports are closed.

    The last answers are still on their way then.
    """

    wanted: asyncio.Event
    hand_over: Callable[[], None] = lambda: None


async def answer(switch: Forwarder, line: bytes) -> dict[str, Any]:
    """What is said to one admin command; a wrong one changes nothing."""
    try:
        return {"ok": True, **await _obey(switch, json.loads(line))}
    except (Refused, OSError, KeyError, TypeError, ValueError) as error:
        return {"ok": False, "error": f"{error}" or repr(error)}


async def _obey(switch: Forwarder, command: Mapping[str, Any]) -> dict[str, Any]:
    match command["do"]:
        case "status":
            return switch.status()
        case "point":
            await switch.point(str(command["service"]), Route.read(command))
            return {}
        case "remove":
            await switch.remove(str(command["service"]), int(command["fence"]))
            return {}
        case "drain":
            return {"cut": await switch.drain(command["upstream"], float(command["seconds"]))}
        case unknown:
            raise Refused(f"unknown command: {unknown}")


async def serve(
    state: Path,
    admin: Path,
    ending: Ending,
    *,
    host: str = PUBLIC_HOST,
    patience: Patience = Patience(),  # noqa: B008 - it never changes
) -> None:
    """Restore the table, forward, and obey the admin until it has to end.

    Public ports are opened on `host`.
    """

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(json.dumps(await answer(switch, line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    switch = Forwarder(state, patience=patience, host=host)
    await switch.restore()
    _remove(admin)
    server = await asyncio.start_unix_server(converse, admin)
    try:
        await ending.wanted.wait()
    finally:
        server.close()
        _remove(admin)  # from Python 3.13 on it is gone already
        switch.shut()
        ending.hand_over()
        await switch.leave()


def _remove(admin: Path) -> None:
    admin.unlink(missing_ok=True)


async def _serve_until_terminated(state: Path, admin: Path, host: str, lock: IO[str]) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    hand_over = partial(fcntl.flock, lock, fcntl.LOCK_UN)
    await serve(state, admin, Ending(stopped, hand_over), host=host)


def main(state: Path, admin: Path, host: str = PUBLIC_HOST) -> None:
    """Serve as the only process of this state file: the one before it has to end first.

    `<state>.waiting` names the one that waits, with everything loaded.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.umask(0o077)
    with state.with_name(f"{state.name}.lock").open("w") as lock:
        state.with_name(f"{state.name}.waiting").write_text(str(os.getpid()))
        fcntl.flock(lock, fcntl.LOCK_EX)
        asyncio.run(_serve_until_terminated(state, admin, host, lock))


if __name__ == "__main__":  # pragma: no cover - what `python -m` runs
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
