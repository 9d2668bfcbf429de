"""Connections that go to a candidate, and those that are told apart by what they say first."""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from build_executor.forwarder import table
from build_executor.forwarder.routes import Candidate, Route, write_table
from build_executor.targets.ports import is_free
from tests.fakes.forwarder import Admin, running_forwarder, says, upstream
from tests.ports import free_port

HEADER = ["x-try", "new"]
REQUEST = b"GET / HTTP/1.1\r\nx-try: new\r\n\r\n"
GOING_AWAY = b"\x88\x02\x03\xe9"


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Admin]:
    with running_forwarder(tmp_path / "routes.json", tmp_path / "a"):
        yield Admin(tmp_path / "a")


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Admin]:
    """One that waits for the head of a request for as long as a test may take."""
    with running_forwarder(tmp_path / "routes.json", tmp_path / "b", head_seconds=20):
        yield Admin(tmp_path / "b")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def old() -> Iterator[str]:
    with upstream(says("old")) as address:
        yield address


@pytest.fixture
def new() -> Iterator[str]:
    with upstream(says("new")) as address:
        yield address


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 30)


def answer(port: int, *parts: bytes) -> str:
    with connected(port) as client:
        for part in parts:
            client.sendall(part)
        return client.recv(4096).rpartition(b"\r\n")[2].decode()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# -- what a client says first


def test_a_head_may_come_in_pieces(patient: Admin, port: int, old: str, new: str) -> None:
    patient.point("shop", port, old, candidate={"upstream": new, "header": HEADER})

    assert answer(port, REQUEST[:20], REQUEST[20:]) == "new"
    assert answer(port, b"GET / HTTP/1.1\r\n\r\n") == "old"


def test_a_head_without_an_end_is_read_as_far_as_is_sensible(
    patient: Admin, port: int, old: str, new: str
) -> None:
    patient.point("shop", port, old, candidate={"upstream": new, "header": HEADER})

    assert answer(port, REQUEST[:-2] + b"x" * 20_000).startswith("old") is False
    assert answer(port, b"x" * 20_000) == "old"


def test_a_client_that_says_nothing_is_not_held_hostage(
    admin: Admin, port: int, old: str, new: str
) -> None:
    admin.point("shop", port, old, candidate={"upstream": new, "header": HEADER})

    with connected(port) as client:
        until(lambda: old in admin.order(do="status")["in_flight"])
        client.sendall(REQUEST)

        assert client.recv(4096).endswith(b"old")


def test_a_client_may_end_its_direction_with_the_head(patient: Admin, port: int, new: str) -> None:
    def shout(client: socket.socket) -> None:
        heard = b""
        while data := client.recv(4096):
            heard += data
        client.sendall(heard.upper())

    with upstream(shout) as address:
        patient.point("shop", port, new, candidate={"upstream": address, "header": HEADER})
        with connected(port) as client:
            client.sendall(REQUEST)
            client.shutdown(socket.SHUT_WR)

            assert client.recv(4096) == REQUEST.upper()


def test_a_client_may_end_its_direction_before_the_head(
    patient: Admin, port: int, new: str
) -> None:
    def shout(client: socket.socket) -> None:
        heard = b""
        while data := client.recv(4096):
            heard += data
        client.sendall(heard.upper())

    with upstream(shout) as address:
        patient.point("shop", port, address, candidate={"upstream": new, "header": HEADER})
        with connected(port) as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)

            assert client.recv(4096) == b"HELLO"


def test_a_client_that_leaves_before_it_said_anything_leaves_nothing(
    patient: Admin, port: int, old: str, new: str
) -> None:
    patient.point("shop", port, old, candidate={"upstream": new, "header": HEADER})
    client = connected(port)
    until(lambda: patient.order(do="status")["held"] == 1)

    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()

    until(lambda: patient.order(do="status")["held"] == 0)


def test_what_was_heard_already_does_not_hinder_a_refusal(admin: Admin, port: int) -> None:
    gone = f"127.0.0.1:{free_port()}"
    admin.point("shop", port, gone, candidate={"upstream": gone, "header": HEADER})

    with connected(port) as client:
        client.sendall(REQUEST + b"x" * 40_000)

        assert client.recv(4096).startswith(b"HTTP/1.1 503")


# -- the candidate comes and goes


def test_a_candidate_that_is_gone_costs_nobody_the_answer(
    admin: Admin, port: int, old: str
) -> None:
    gone = f"127.0.0.1:{free_port()}"
    admin.point("shop", port, old, candidate={"upstream": gone, "share": 99})

    assert {answer(port, REQUEST) for _ in range(5)} == {"old"}
    assert admin.order(do="status")["counts"][gone] == {"answered": 0, "failed": 4}


def test_who_keeps_a_connection_keeps_the_release_until_it_is_withdrawn(
    admin: Admin, port: int, old: str, new: str
) -> None:
    admin.point("shop", port, old, candidate={"upstream": new, "header": HEADER})
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask() -> tuple[str, str | None]:
        kept.request("GET", "/", headers={"x-try": "new"})
        said = kept.getresponse()
        return said.read().decode(), said.headers["connection"]

    assert ask() == ("new", None)
    admin.point("shop", port, old, candidate={"upstream": new, "share": 1})
    assert ask() == ("new", None)
    admin.point("shop", port, old)
    assert ask() == ("new", "close")
    assert ask() == ("old", None)
    kept.close()


def test_the_preview_port_leads_to_the_candidate_alone(
    admin: Admin, port: int, old: str, new: str
) -> None:
    preview, other = free_port(), free_port()
    admin.point("shop", port, old, candidate={"upstream": new, "preview_port": preview})
    assert (answer(port, REQUEST), answer(preview, REQUEST)) == ("old", "new")

    admin.point("shop", port, old, candidate={"upstream": new, "preview_port": other})
    until(lambda: is_free(preview))
    assert answer(other, REQUEST) == "new"

    admin.point("shop", port, new)
    until(lambda: is_free(other))


def test_a_preview_port_of_somebody_else_is_refused_and_nothing_changes(
    admin: Admin, port: int, old: str, new: str
) -> None:
    admin.point("shop", port, old)
    taken, moved = int(new.rpartition(":")[2]), free_port()

    refused = admin.point("shop", moved, new, candidate={"upstream": new, "preview_port": taken})

    assert refused["error"] == f"port {taken} cannot be opened: Address already in use"
    assert answer(port, REQUEST) == "old"
    until(lambda: is_free(moved))


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 100},
        {"share": -1},
        {"share": "many"},
        {"header": ["x-try"]},
        {"cookie": 3},
        {"preview_port": 0},
        {"preview_port": 65_536},
        {"upstream": "nowhere"},
    ],
)
def test_a_wrong_candidate_is_refused(
    admin: Admin, port: int, old: str, wrong: dict[str, object]
) -> None:
    refused = admin.point("shop", port, old, candidate={"upstream": old, **wrong})

    assert refused["error"].startswith("not a route: ")
    assert admin.order(do="status")["routes"] == {}


def test_a_candidate_survives_the_process(tmp_path: Path, port: int, old: str, new: str) -> None:
    state, preview = tmp_path / "routes.json", free_port()
    candidate = Candidate(new, "2", 5, ("x-try", "new"), ("try", "new"), preview)
    write_table(state, {"shop": Route(port, old, "1", 1, candidate)}, {"shop": 1})

    with running_forwarder(state, tmp_path / "a"):
        until(lambda: not is_free(port) and not is_free(preview))

        assert answer(port, REQUEST) == "new"
        assert answer(preview, REQUEST) == "new"
        entry = Admin(tmp_path / "a").order(do="status")["routes"]["shop"]
        assert Route.read(entry) == Route(port, old, "1", 1, candidate)
        assert entry["listening"] is True


def test_a_port_that_is_wanted_no_more_is_not_waited_for(
    tmp_path: Path, port: int, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_REBIND_SECONDS", 0)
    state = tmp_path / "routes.json"
    write_table(state, {"shop": Route(port, old, "1", 1)}, {"shop": 1})
    with upstream(says("somebody else"), port=port), running_forwarder(state, tmp_path / "a"):
        admin = Admin(tmp_path / "a")
        until(lambda: admin.order(do="status")["routes"]["shop"]["listening"] is False)

        admin.order(do="remove", service="shop", fence=1)
        for _ in range(5):
            assert admin.order(do="status")["routes"] == {}

    until(lambda: is_free(port))


# -- counting


def test_answers_errors_and_what_was_left_unanswered_are_counted(admin: Admin, port: int) -> None:
    def moody(client: socket.socket) -> None:
        while heard := client.recv(4096):
            if b"/leave" in heard:
                return
            status = b"503" if b"/broken" in heard else b"200"
            client.sendall(b"HTTP/1.1 " + status + b" X\r\ncontent-length: 0\r\n\r\n")

    with upstream(moody) as address:
        admin.point("shop", port, address)
        for path in (b"/", b"/", b"/broken", b"/leave"):
            with connected(port) as client:
                client.sendall(b"GET " + path + b" HTTP/1.1\r\n\r\n")
                client.recv(4096)

        until(lambda: admin.order(do="status")["in_flight"] == {})
        counts = admin.order(do="status")["counts"]

    assert counts == {address: {"answered": 2, "failed": 2}}


# -- WebSockets


def websocket(first: bytes, release: threading.Event) -> Callable[[socket.socket], None]:
    def talk(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 101 X\r\nUpgrade: WebSocket\r\n\r\n" + first)
        while heard := client.recv(4096):
            client.sendall(heard)
        release.set()

    return talk


def test_a_websocket_is_asked_to_end_when_the_time_is_over(admin: Admin, port: int) -> None:
    left = threading.Event()
    with upstream(websocket(b"\x81\x02hi", left)) as address:
        admin.point("shop", port, address)
        with connected(port) as client:
            client.sendall(b"GET /stream HTTP/1.1\r\n\r\n")
            while b"hi" not in client.recv(4096):
                pass
            client.sendall(b"\x81\x01x")
            assert client.recv(4096) == b"\x81\x01x"
            draining = threading.Thread(
                target=lambda: admin.order(do="drain", upstream=address, seconds=0.05)
            )
            draining.start()

            assert client.recv(4096) == GOING_AWAY
            client.sendall(b"\x88\x02\x03\xe9")
            client.shutdown(socket.SHUT_WR)

            draining.join()
            assert left.wait(30)


def test_a_tunnel_that_cannot_be_asked_is_cut(admin: Admin, port: int) -> None:
    with upstream(websocket(b"\x81\x7e", threading.Event())) as address:
        admin.point("shop", port, address)
        with connected(port) as client:
            client.sendall(b"GET /stream HTTP/1.1\r\n\r\n")
            until(lambda: address in admin.order(do="status")["in_flight"])
            while not client.recv(4096).endswith(b"\x81\x7e"):
                pass

            assert admin.order(do="drain", upstream=address, seconds=0.05)["cut"] == 1


def test_a_client_that_does_not_listen_is_cut_in_the_end(admin: Admin, port: int) -> None:
    with upstream(websocket(b"", threading.Event())) as address:
        admin.point("shop", port, address)
        with connected(port) as client:
            client.sendall(b"GET /stream HTTP/1.1\r\n\r\n")
            client.recv(4096)

            assert admin.order(do="drain", upstream=address, seconds=0.05)["cut"] == 1
