"""Ask the forwarder one thing: its client for whoever can only run a command beside it.

`python -S -m build_executor.forwarder.ask ADMIN SECONDS` reads one command from stdin and prints
the answer, one JSON object each; it ends with 1 if there was none within SECONDS.
"""

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

_NOBODY = (ConnectionRefusedError, FileNotFoundError)
_TAKE_OVER_SECONDS = 3.0
_POLL_SECONDS = 0.02


def ask(admin: Path, command: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The forwarder's answer, `ok` in it; OSError if it has none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        connection.connect(str(admin))
        connection.sendall(json.dumps(command).encode() + b"\n")
        with connection.makefile("rb") as answers:
            answer: dict[str, Any] = json.loads(answers.readline() or b"null") or {}
    if "ok" not in answer:
        raise ConnectionResetError("it ended before it answered")
    return answer


def insist(admin: Path, command: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The same; when the forwarder has just died, the answer of the one that takes its place."""
    deadline = time.monotonic() + _TAKE_OVER_SECONDS
    while True:
        try:
            return ask(admin, command, seconds)
        except _NOBODY:
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_SECONDS)


def main(admin: Path, seconds: float) -> int:
    """Ask what stdin says and print what is answered; the exit status."""
    try:
        answer = ask(admin, json.load(sys.stdin), seconds)
    except OSError as error:
        answer = {"ok": False, "error": f"no answer: {error}"}
        print(json.dumps(answer))  # noqa: T201 - its result
        return 1
    print(json.dumps(answer))  # noqa: T201 - its result
    return 0


if __name__ == "__main__":  # pragma: no cover - what `python -m` runs
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2])))
