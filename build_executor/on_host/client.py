"""Whoever asks us over stdin, for as long as they are there."""

import os
import select
from collections.abc import Iterator
from typing import IO

_SILENCE_SECONDS = 30.0  # a client that lives says so every few seconds
_CHUNK = 64 * 1024


def lines(client: IO[bytes]) -> Iterator[bytes]:
    """What the client says, line by line, until it has ended or has been silent for too long.

    Empty lines are signs of life. `client` must not have been read from by other means.
    """
    descriptor, text = client.fileno(), b""
    while select.select([descriptor], [], [], _SILENCE_SECONDS)[0]:
        more = os.read(descriptor, _CHUNK)
        if not more:
            return
        *whole, text = (text + more).split(b"\n")
        yield from filter(None, whole)
