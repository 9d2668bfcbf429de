"""The embedded switch's forwarder in a thread of this process, and upstreams to forward to."""

import asyncio
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

from build_executor.forwarder.__main__ import Ending, serve
from build_executor.forwarder.connection import Patience

Conversation = Callable[[socket.socket], None]


class Admin:
    """Speaks the admin's language; one connection a command."""

    def __init__(self, socket_path: Path) -> None:
        self.path = socket_path

    def ask(self, *lines: bytes) -> list[dict[str, Any]]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.path))
            connection.sendall(b"\n".join(lines) + b"\n")
            with connection.makefile("rb") as answers:
                return [json.loads(answers.readline()) for _ in lines]

    def order(self, **command: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        return self.ask(json.dumps(command).encode())[0]

    def point(
        self,
        service: str,
        port: int,
        address: str,
        fence: int = 1,
        candidate: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        route = {"service": service, "port": port, "upstream": address, "fence": fence}
        beside = {"release": "2", **candidate} if candidate else None
        return self.order(do="point", release="1", candidate=beside, **route)


@contextmanager
def running_forwarder(
    state: Path,
    admin: Path,
    *,
    hold_seconds: float = 0.2,
    head_seconds: float = 0.2,
    leave_seconds: float = 0,
) -> Iterator[None]:
    """Forward as the real process does, for as long as the context lasts."""
    loops: Queue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    patience = Patience(hold_seconds, head_seconds, leave_seconds)

    async def run() -> None:
        stopped = asyncio.Event()
        loops.put((asyncio.get_running_loop(), stopped))
        await serve(state, admin, Ending(stopped), patience=patience)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    admin.unlink(missing_ok=True)
    thread.start()
    loop, stopped = loops.get(timeout=10)
    try:
        while not _answers(admin):
            assert thread.is_alive()
            time.sleep(0.001)
        yield
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()


def _answers(admin: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(admin)) == 0


@contextmanager
def upstream(conversation: Conversation, *, port: int = 0) -> Iterator[str]:
    """A TCP server that holds `conversation` with each client; its address as host:port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            conversation(self.request)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def says(name: str) -> Conversation:
    """Answers each HTTP request with `name`, on one connection for as long as the client wants."""
    body = name.encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)

    def conversation(client: socket.socket) -> None:
        while client.recv(4096):
            client.sendall(head + body)

    return conversation
