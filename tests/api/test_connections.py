"""Clients that take their time, against the adapter's connections under uvicorn.

Patience is lost when a test says so, because on a busy machine honest clients are slow too.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ClassVar

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.sync.client import connect

from api.connections import PromptConnection
from tests.ports import free_port

pytestmark = pytest.mark.full

HALF = b"GET /quick HTTP/1.1\r\nHost: x\r\nX-Slow: "


class Hasty(PromptConnection):
    """Loses its patience by itself, soon."""

    request_seconds = 0.3


class Patient(PromptConnection):
    """Loses its patience when it is told to."""

    request_seconds = 3600.0
    made: ClassVar[list["Patient"]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(transport)
        self.made.append(self)


class Server:
    """An application under uvicorn whose slow answer ends when a test says so."""

    def __init__(self, connection: type[PromptConnection]) -> None:
        self.port = free_port()
        self.was_asked, self.may_answer = threading.Event(), threading.Event()
        routes = [Route("/quick", _quick), Route("/slow", self._slow)]
        app = Starlette(routes=[*routes, WebSocketRoute("/echo", _echo)])
        config = uvicorn.Config(app, port=self.port, http=connection, log_level="error")
        self.uvicorn = uvicorn.Server(config)

    def _slow(self, _request: Request) -> Response:
        self.was_asked.set()
        self.may_answer.wait(30)
        return PlainTextResponse("done")

    def connected(self, said: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), 30)
        client.sendall(said)
        return client


async def _quick(_request: Request) -> Response:
    return PlainTextResponse("quick")


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


@contextlib.contextmanager
def serving(connection: type[PromptConnection]) -> Iterator[Server]:
    server = Server(connection)
    thread = threading.Thread(target=server.uvicorn.run)
    thread.start()
    while not server.uvicorn.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server
    finally:
        server.may_answer.set()
        server.uvicorn.should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def hasty() -> Iterator[Server]:
    with serving(Hasty) as server:
        yield server


@pytest.fixture
def patient() -> Iterator[Server]:
    Patient.made.clear()
    with serving(Patient) as server:
        yield server


def lose_patience() -> None:
    """With all connections that were ever made."""
    over: Future[None] = Future()

    def lose() -> None:
        for connection in Patient.made:
            connection.close_if_idle()
        over.set_result(None)

    Patient.made[0].loop.call_soon_threadsafe(lose)
    over.result(30)


def read_all(client: socket.socket) -> bytes:
    """What came until the connection was closed."""
    with client.makefile("rb") as file:
        return file.read()


def is_closed(client: socket.socket) -> bool:
    """Once the server has said so, or has gone without reading what was sent."""
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True


def read_until(client: socket.socket, end: bytes) -> None:
    said = b""
    while not said.endswith(end):
        said += client.recv(1000)


# -- by itself


@pytest.mark.parametrize("said", [b"", b"GET", HALF], ids=["nothing", "a word", "half"])
def test_who_never_finishes_a_request_is_closed(hasty: Server, said: bytes) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(hasty.connected(said)) for _ in range(50)]

        assert all(is_closed(one) for one in slow)


def test_saying_a_little_now_and_then_does_not_help(hasty: Server) -> None:
    with hasty.connected(HALF) as slow, ThreadPoolExecutor(1) as pool:
        closed = pool.submit(is_closed, slow)
        while not closed.done():
            with contextlib.suppress(OSError):
                slow.sendall(b"x")
            time.sleep(0.01)

    assert closed.result()


# -- when patience is lost


def test_others_are_served_meanwhile(patient: Server) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(patient.connected(HALF)) for _ in range(50)]
        with patient.connected(b"GET /quick HTTP/1.0\r\n\r\n") as client:
            served = read_all(client)

        lose_patience()
        closed = [is_closed(one) for one in slow]

    assert served.endswith(b"quick")
    assert all(closed)


def test_after_an_answer_the_next_request_has_to_come_whole_too(patient: Server) -> None:
    with patient.connected(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n") as client:
        read_until(client, b"quick")
        client.sendall(HALF)

        lose_patience()

        assert is_closed(client)


def test_a_body_is_not_waited_for_once_the_answer_is_given(patient: Server) -> None:
    head = b"GET /quick HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    with patient.connected(head) as client:
        read_until(client, b"quick")

        lose_patience()

        assert is_closed(client)


def test_a_slow_answer_is_not_cut_short(patient: Server) -> None:
    with patient.connected(b"GET /slow HTTP/1.0\r\n\r\n") as client:
        assert patient.was_asked.wait(30)

        lose_patience()

        patient.may_answer.set()
        assert read_all(client).endswith(b"done")


def test_a_websocket_may_be_silent(patient: Server) -> None:
    with connect(f"ws://127.0.0.1:{patient.port}/echo", open_timeout=30) as websocket:
        lose_patience()

        websocket.send("still here")
        assert websocket.recv(30) == "still here"


def test_a_connection_that_is_gone_already_is_left_alone(patient: Server) -> None:
    with patient.connected(b"GET /quick HTTP/1.0\r\n\r\n") as client:
        read_all(client)

    lose_patience()
