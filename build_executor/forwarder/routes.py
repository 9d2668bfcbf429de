"""The routing table as a value and as a file.

It is written by rename with the one before it as a spare, and each entry is read back on its own: a
damaged file must not cost every service its address.
"""

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

_ALL = 100
_PORTS = range(1, 65_536)


class Refused(Exception):
    """What was asked for cannot be done; the text says why."""


class Candidate(NamedTuple):
    """A second upstream of a route, and which connections go there.

    `share` is a percentage of the new ones; `header` and `cookie` are a name and a value that their
    first request has; `preview_port` is a port of its own.
    """

    upstream: str
    release: str
    share: int = 0
    header: tuple[str, str] | None = None
    cookie: tuple[str, str] | None = None
    preview_port: int | None = None

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """The candidate in a request or in the state file; ValueError if it is none."""
        share, preview = int(entry.get("share", 0)), entry.get("preview_port")
        if not 0 <= share < _ALL:
            raise ValueError(f"a share of {share} percent")
        return cls(
            upstream=_address(entry["upstream"]),
            release=str(entry["release"]),
            share=share,
            header=_pair(entry.get("header")),
            cookie=_pair(entry.get("cookie")),
            preview_port=None if preview is None else _port(preview),
        )


class Route(NamedTuple):
    """The pointer of one service. `fence` is the number of the deploy lock that set it."""

    port: int
    upstream: str
    release: str
    fence: int
    candidate: Candidate | None = None

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """The route in a request or in the state file; Refused if it is none."""
        try:
            candidate = entry.get("candidate")
            return cls(
                port=_port(entry["port"]),
                upstream=_address(entry["upstream"]),
                release=str(entry["release"]),
                fence=int(entry["fence"]),
                candidate=None if candidate is None else Candidate.read(candidate),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Refused(f"not a route: {error!r}") from error

    def entry(self) -> dict[str, Any]:
        """The route as `read` reads it."""
        candidate = self.candidate._asdict() if self.candidate else None
        return {**self._asdict(), "candidate": candidate}


def read_table(state: Path) -> tuple[dict[str, Route], dict[str, int]]:
    """The routes and fences of the state file, or of its spare if it is damaged."""
    for path in (state, _spare(state)):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            table = json.loads(path.read_bytes())
            fences = {str(name): int(fence) for name, fence in table["fences"].items()}
            return _readable(table["routes"]), fences
    return {}, {}


def write_table(state: Path, routes: Mapping[str, Route], fences: Mapping[str, int]) -> None:
    """Put the table in the state file's place, durably; what was there becomes the spare."""
    temporary = state.with_name(f"{state.name}.new")
    table = {"routes": {name: r.entry() for name, r in routes.items()}, "fences": dict(fences)}
    with temporary.open("w") as stream:
        json.dump(table, stream)
        stream.flush()
        os.fsync(stream.fileno())
    if state.exists():
        link = state.with_name(f"{state.name}.link")
        link.unlink(missing_ok=True)
        link.hardlink_to(state)
        link.replace(_spare(state))
    temporary.replace(state)


def _port(entry: Any) -> int:  # noqa: ANN401 - JSON
    port = int(entry)
    if port not in _PORTS:
        raise ValueError(f"port {port}")
    return port


def _address(entry: Any) -> str:  # noqa: ANN401 - JSON
    _port(str(entry).rpartition(":")[2])
    return str(entry)


def _pair(entry: Any) -> tuple[str, str] | None:  # noqa: ANN401 - JSON
    if entry is None:
        return None
    name, value = entry
    return str(name), str(value)


def _readable(entries: Mapping[str, Any]) -> dict[str, Route]:
    routes = {}
    for service, entry in entries.items():
        try:
            routes[service] = Route.read(entry)
        except Refused as refused:
            print(f"{service}: {refused}", file=sys.stderr, flush=True)  # noqa: T201 - its log
    return routes


def _spare(state: Path) -> Path:
    return state.with_name(f"{state.name}.previous")
