"""More connections than a service may have, and what those meet who come too late."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from build_executor.forwarder import connection, crowd
from build_executor.forwarder.crowd import Crowd, most_guests
from tests.fakes.forwarder import Admin, running_forwarder, says, upstream
from tests.ports import free_port

REQUEST = b"GET / HTTP/1.1\r\n\r\n"


@dataclass(eq=False)
class Guest:
    idle: bool = False
    stuck: bool = False
    went: list[str] = field(default_factory=list)

    def is_idle(self) -> bool:
        return self.idle

    def is_stuck(self) -> bool:
        return self.stuck

    def end(self) -> None:
        self.went.append("in order")

    def cut(self) -> None:
        self.went.append("at once")


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two connections a service, and nobody is idle or stuck before a test says so."""
    monkeypatch.setattr(crowd, "_MOST", 2)
    monkeypatch.setattr(connection, "_IDLE_SECONDS", 1000.0)
    monkeypatch.setattr(connection, "_STUCK_SECONDS", 1000.0)


def full(*guests: Guest) -> Crowd:
    """One that has admitted these."""
    crowd = Crowd()
    assert all(crowd.admit(guest) for guest in guests)
    return crowd


def test_nobody_comes_in_where_everybody_is_busy() -> None:
    busy = [Guest(), Guest()]
    crowd = full(*busy)

    assert not crowd.admit(Guest())

    assert [guest.went for guest in busy] == [[], []]
    crowd.leave(busy[0])
    assert crowd.admit(Guest())


def test_the_oldest_that_is_idle_makes_room_before_one_that_is_stuck() -> None:
    guests = [Guest(stuck=True), Guest(idle=True)]
    crowd = full(*guests)

    assert crowd.admit(Guest())

    assert [guest.went for guest in guests] == [[], ["in order"]]


def test_one_that_is_stuck_makes_room_where_nobody_is_idle() -> None:
    guests = [Guest(), Guest(stuck=True)]
    crowd = full(*guests)

    assert crowd.admit(Guest())

    assert [guest.went for guest in guests] == [[], ["at once"]]


def test_room_is_looked_for_now_and_then_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "_LOOK_SECONDS", 1000.0)
    guests = [Guest(), Guest()]
    busy = full(*guests)
    assert not busy.admit(Guest())
    guests[0].idle = True

    assert not busy.admit(Guest())


@pytest.mark.parametrize(("files", "most"), [(20_000, 2), (4, 1), (2, 1)])
def test_where_few_files_may_be_open_there_are_fewer_connections(
    monkeypatch: pytest.MonkeyPatch, files: int, most: int
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, files))

    assert most_guests() == most


# -- through a forwarder


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Admin]:
    with running_forwarder(tmp_path / "routes.json", tmp_path / "a", hold_seconds=20):
        yield Admin(tmp_path / "a")


@pytest.fixture
def port() -> int:
    return free_port()


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 20)


def never_answers(client: socket.socket) -> None:
    while client.recv(4096):
        pass


def occupied(
    admin: Admin, port: int, address: str, said: bytes, stack: ExitStack
) -> list[socket.socket]:
    """The clients that have all the room there is, once they are with the service."""
    admin.point("shop", port, address)
    clients = [stack.enter_context(connected(port)) for _ in range(2)]
    for client in clients:
        client.sendall(said)
    deadline = time.monotonic() + 30
    while admin.order(do="status")["in_flight"] != {address: 2}:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return clients


def test_one_too_many_is_told_so(admin: Admin, port: int) -> None:
    with upstream(never_answers) as address, ExitStack() as stack:
        occupied(admin, port, address, b"GET / HT", stack)

        late = stack.enter_context(connected(port))
        late.sendall(REQUEST)

        assert late.recv(4096).startswith(b"HTTP/1.1 503")


@pytest.mark.parametrize(
    ("patience", "said"), [("_IDLE_SECONDS", b""), ("_STUCK_SECONDS", b"GET / HT")]
)
def test_clients_that_say_nothing_more_do_not_keep_others_out(
    admin: Admin, port: int, monkeypatch: pytest.MonkeyPatch, patience: str, said: bytes
) -> None:
    with upstream(says("1")) as address, upstream(never_answers) as mute, ExitStack() as stack:
        clients = occupied(admin, port, mute, said, stack)
        admin.point("shop", port, address)
        monkeypatch.setattr(connection, patience, -1.0)

        late = stack.enter_context(connected(port))
        late.sendall(REQUEST)

        assert late.recv(4096).endswith(b"1")
        ends = {"closed" if _has_ended(client) else "open" for client in clients[:1]}
        assert ends == {"closed"}


def _has_ended(client: socket.socket) -> bool:
    try:
        return client.recv(4096) == b""
    except ConnectionResetError:
        return True


def test_thousands_that_wait_for_a_service_ask_for_it_in_turns(
    admin: Admin, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd, "_MOST", 100)
    monkeypatch.setattr(crowd, "_MOST_KNOCKING", 1)
    private = free_port()
    admin.point("shop", port, f"127.0.0.1:{private}")
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(port)) for _ in range(20)]
        for client in clients:
            client.sendall(REQUEST)

        stack.enter_context(upstream(says("back"), port=private))

        assert {client.recv(4096)[-4:] for client in clients} == {b"back"}
