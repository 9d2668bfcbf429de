"""One HTTP connection of a user of deploy_load, as plain as it can be made."""

import asyncio
from typing import NamedTuple

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Broken(Exception):
    """The answer is no good; says why."""


class _Answer(NamedTuple):
    status: int
    body: bytes
    is_last: bool


class Connection:
    """One connection to the service."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._streams: Streams | None = None

    async def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The body of a good answer; on the kept connection if there is one that is still open."""
        reader, writer = await self.opened()
        try:
            writer.write(head(method, path, f"content-length: {len(body)}\r\n") + body)
            answer = await _read(reader)
        except BaseException:
            self.close()
            raise
        if answer.is_last:
            self.close()
        if answer.status >= 400:
            raise Broken(f"status {answer.status}")
        return answer.body

    async def opened(self) -> Streams:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        return self._streams

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def head(method: str, path: str, headers: str) -> bytes:
    """Stand-in releases know their users by `x-user`; the product's own probes have none."""
    first = f"{method} {path} HTTP/1.1\r\nhost: shop\r\nx-user: 1\r\n"
    return f"{first}content-type: application/json\r\n{headers}\r\n".encode()


async def _read(reader: asyncio.StreamReader) -> _Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return _Answer(int(head.split()[1]), body, headers.get("connection") == "close")
