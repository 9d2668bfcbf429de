"""What those meet who are connected when the forwarder is told to end."""

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from build_executor.forwarder.connection import Patience
from build_executor.forwarder.routes import Refused, Route
from build_executor.forwarder.table import Forwarder
from build_executor.targets.ports import is_free
from tests.fakes.forwarder import Admin, running_forwarder, says, upstream
from tests.ports import free_port

GOING_AWAY = b"\x88\x02\x03\xe9"


def ending(
    tmp_path: Path, conversation: Callable[[socket.socket], None], port: int
) -> tuple[threading.Thread, threading.Event]:
    """A forwarder with this service behind it, and what ends it."""
    is_up, is_over = threading.Event(), threading.Event()

    def forward() -> None:
        with (
            upstream(conversation) as address,
            running_forwarder(tmp_path / "routes.json", tmp_path / "a", leave_seconds=20),
        ):
            Admin(tmp_path / "a").point("shop", port, address)
            is_up.set()
            is_over.wait(30)

    thread = threading.Thread(target=forward)
    thread.start()
    is_up.wait(30)
    return thread, is_over


def test_a_request_in_flight_is_answered_and_its_connection_ends(tmp_path: Path) -> None:
    port, is_asked, go_on = free_port(), threading.Event(), threading.Event()

    def slow(client: socket.socket) -> None:
        client.recv(4096)
        is_asked.set()
        go_on.wait(30)
        client.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        client.recv(4096)

    forwarder, is_over = ending(tmp_path, slow, port)
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        is_asked.wait(30)

        is_over.set()
        while not is_free(port):
            pass
        go_on.set()

        assert client.recv(4096).startswith(b"HTTP/1.1 204 No Content\r\nconnection: close")
        assert client.recv(4096) == b""
    forwarder.join()


def test_a_websocket_is_told(tmp_path: Path) -> None:
    port = free_port()

    def talk(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n")
        client.recv(4096)

    forwarder, is_over = ending(tmp_path, talk, port)
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 101")

        is_over.set()

        assert client.recv(4096) == GOING_AWAY
    forwarder.join()


def test_a_deployer_that_comes_too_late_is_told(tmp_path: Path) -> None:
    async def shut_and_point() -> int:
        switch = Forwarder(tmp_path / "r", patience=Patience(), host="127.0.0.1")
        switch.shut()
        port = free_port()
        with pytest.raises(Refused, match="the switch is ending"):
            await switch.point("shop", Route(port, "127.0.0.1:1", "1", 1))
        return port

    assert is_free(asyncio.run(shut_and_point()))
    assert not (tmp_path / "r").exists()


def test_the_table_is_handed_over_before_the_last_answer_is_given(tmp_path: Path) -> None:
    port = free_port()
    forwarder, is_over = ending(tmp_path, says("old"), port)
    with socket.create_connection(("127.0.0.1", port), 30) as kept:
        kept.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert kept.recv(4096).endswith(b"old")

        is_over.set()
        while not is_free(port):
            pass
        with running_forwarder(tmp_path / "routes.json", tmp_path / "b"):
            routes = Admin(tmp_path / "b").order(do="status")["routes"]

    assert routes["shop"]["port"] == port
    forwarder.join()
