import asyncio
import http.client
import json
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from build_executor.forwarder.__main__ import main
from build_executor.forwarder.connection import announce_close
from build_executor.forwarder.routes import Route, read_table, write_table
from build_executor.targets.ports import is_free
from tests.fakes.forwarder import Admin, running_forwarder, says, upstream
from tests.ports import free_port


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "routes.json"


@pytest.fixture
def admin(tmp_path: Path, state: Path) -> Iterator[Admin]:
    with running_forwarder(state, tmp_path / "a"):
        yield Admin(tmp_path / "a")


@pytest.fixture
def port() -> int:
    return free_port()


def get(connection: http.client.HTTPConnection) -> tuple[str, str | None]:
    connection.request("GET", "/")
    response = connection.getresponse()
    return response.read().decode(), response.headers["connection"]


def ask_once(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        return get(connection)[0]
    finally:
        connection.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def in_background(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def held(admin: Admin) -> bool:
    return bool(admin.order(do="status")["held"] == 1)


# -- forwarding


def test_both_directions_are_forwarded_and_end_on_their_own(admin: Admin, port: int) -> None:
    def shout(client: socket.socket) -> None:
        heard = b""
        while data := client.recv(4096):
            heard += data
        client.sendall(heard.upper())

    with upstream(shout) as address:
        admin.point("shop", port, address)

        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)

            assert client.recv(4096) == b"HELLO"
            assert client.recv(4096) == b""


def test_a_server_may_end_its_direction_first(admin: Admin, port: int) -> None:
    heard: list[bytes] = []

    def greet(client: socket.socket) -> None:
        client.sendall(b"welcome")
        client.shutdown(socket.SHUT_WR)
        heard.append(client.recv(4096))

    with upstream(greet) as address:
        admin.point("shop", port, address)

        with socket.create_connection(("127.0.0.1", port), 30) as client:
            assert client.recv(4096) + client.recv(4096) == b"welcome"
            client.sendall(b"thanks")

        until(lambda: heard == [b"thanks"])


def test_a_slow_reader_slows_its_upstream_and_loses_nothing(admin: Admin, port: int) -> None:
    sent = os.urandom(1024) * 16 * 1024

    with upstream(lambda client: client.sendall(sent)) as address:
        admin.point("shop", port, address)

        with socket.create_connection(("127.0.0.1", port), 30) as client:
            received = bytearray()
            while data := client.recv(65_536):
                if len(received) < 65_536 * 2:
                    time.sleep(0.05)  # this is the slow reader
                received += data

    assert received == sent


def test_an_aborted_upstream_aborts_its_client(admin: Admin, port: int) -> None:
    def abort(client: socket.socket) -> None:
        client.recv(4096)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    with upstream(abort) as address:
        admin.point("shop", port, address)

        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(b"hello")

            with pytest.raises(ConnectionResetError):
                client.recv(4096)


def test_new_connections_follow_the_route_and_old_ones_come_over_after_an_answer(
    admin: Admin, port: int
) -> None:
    with upstream(says("old")) as old, upstream(says("new")) as new:
        admin.point("shop", port, old)
        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        assert get(kept) == ("old", None)

        admin.point("shop", port, new)

        assert ask_once(port) == "new"
        assert get(kept) == ("old", "close")
        assert get(kept) == ("new", None)
        kept.close()


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 O", b"HTTP/1.1 200 O"),
        (b"+PONG\r\n", b"+PONG\r\n"),
    ],
)
def test_only_the_beginning_of_a_final_response_can_announce_the_close(
    response: bytes, expected: bytes
) -> None:
    assert announce_close(response) == expected


def test_a_tunnel_is_never_touched(admin: Admin, port: int) -> None:
    def upgrade(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        while data := client.recv(4096):
            client.sendall(data)

    with upstream(upgrade) as address, upstream(says("new")) as new:
        admin.point("shop", port, address)
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(b"GET /stream HTTP/1.1\r\n\r\n")
            client.recv(4096)
            admin.point("shop", port, new)

            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

            assert client.recv(4096) == b"HTTP/1.1 200 OK\r\n\r\n"


def test_the_answer_after_a_preliminary_one_announces_the_close(admin: Admin, port: int) -> None:
    go_on = threading.Event()

    def answer(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        go_on.wait(30)
        client.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with upstream(answer) as address, upstream(says("new")) as new:
        admin.point("shop", port, address)
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(b"POST / HTTP/1.1\r\nexpect: 100-continue\r\n\r\n")
            client.recv(4096)
            admin.point("shop", port, new)
            go_on.set()

            assert b"connection: close" in client.recv(4096)


# -- an upstream that does not answer


def test_a_client_waits_while_its_upstream_restarts(tmp_path: Path, state: Path) -> None:
    port, address = free_port(), f"127.0.0.1:{free_port()}"
    with running_forwarder(state, tmp_path / "a", hold_seconds=30):
        Admin(tmp_path / "a").point("shop", port, address)
        answers: list[str] = []
        user = threading.Thread(target=lambda: answers.append(ask_once(port)))
        user.start()

        with upstream(says("back"), port=int(address.rpartition(":")[2])):
            user.join()

    assert answers == ["back"]


@pytest.fixture
def early_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 3.11.4 a new connection is read even if `connection_made` has paused it."""

    def start_reading(
        transport: asyncio.Transport, descriptor: int, callback: Callable[[], None]
    ) -> None:
        if not transport.is_closing():
            loop: Any = asyncio.get_running_loop()
            loop._add_reader(descriptor, callback)  # noqa: SLF001 - as the transport itself does

    monkeypatch.setattr("asyncio.selector_events._SelectorTransport._add_reader", start_reading)


@pytest.mark.usefixtures("early_reader")
def test_what_a_held_client_has_said_is_not_lost(tmp_path: Path, state: Path) -> None:
    port, private = free_port(), free_port()
    with running_forwarder(state, tmp_path / "a", hold_seconds=30):
        admin = Admin(tmp_path / "a")
        admin.point("shop", port, f"127.0.0.1:{private}")
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            until(lambda: held(admin))

            with upstream(says("back"), port=private):
                assert client.recv(4096).endswith(b"back")


def test_a_client_is_told_when_its_upstream_accepts_nobody(admin: Admin, port: int) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        with socket.create_connection(address, 30):  # fills its queue
            admin.point("shop", port, f"127.0.0.1:{address[1]}")

            with socket.create_connection(("127.0.0.1", port), 30) as client:
                assert client.recv(4096).startswith(b"HTTP/1.1 503")


def test_a_client_is_told_when_its_upstream_stays_away(admin: Admin, port: int) -> None:
    admin.point("shop", port, f"127.0.0.1:{free_port()}")

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/", body=b"x" * 1000)
    response = connection.getresponse()

    assert response.status == http.HTTPStatus.SERVICE_UNAVAILABLE
    assert json.loads(response.read())["error"]["code"] == "service_unavailable"
    connection.close()
    until(lambda: not held(admin))


def test_a_held_client_is_told_when_its_service_goes(tmp_path: Path, state: Path) -> None:
    port = free_port()
    with running_forwarder(state, tmp_path / "a", hold_seconds=30):
        admin = Admin(tmp_path / "a")
        admin.point("shop", port, f"127.0.0.1:{free_port()}")
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            until(lambda: held(admin))

            admin.order(do="remove", service="shop", fence=1)

            assert client.recv(4096).startswith(b"HTTP/1.1 503")


def test_held_clients_are_cut_when_the_switch_ends(tmp_path: Path, state: Path) -> None:
    port = free_port()
    with running_forwarder(state, tmp_path / "a", hold_seconds=30):
        admin = Admin(tmp_path / "a")
        admin.point("shop", port, f"127.0.0.1:{free_port()}")
        client = socket.create_connection(("127.0.0.1", port), 30)
        until(lambda: held(admin))

    with client, pytest.raises(ConnectionResetError):
        client.recv(4096)


def test_a_client_that_leaves_while_it_is_held_leaves_nothing(admin: Admin, port: int) -> None:
    admin.point("shop", port, f"127.0.0.1:{free_port()}")
    client = socket.create_connection(("127.0.0.1", port), 30)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()

    until(lambda: admin.order(do="status")["in_flight"] == {})


# -- the table


def test_a_removed_service_gives_its_port_back(admin: Admin, port: int) -> None:
    with upstream(says("1")) as address:
        admin.point("shop", port, address)

        assert admin.order(do="remove", service="shop", fence=1) == {"ok": True}
        assert admin.order(do="remove", service="shop", fence=1) == {"ok": True}

        until(lambda: is_free(port))
        assert admin.order(do="status")["routes"] == {}


def test_a_service_can_move_to_another_port(admin: Admin, port: int) -> None:
    other = free_port()
    with upstream(says("1")) as address:
        admin.point("shop", port, address)

        admin.point("shop", other, address)

        assert ask_once(other) == "1"
        until(lambda: is_free(port))


def test_a_port_of_somebody_else_is_refused_and_nothing_changes(admin: Admin, port: int) -> None:
    with upstream(says("1")) as address:
        admin.point("shop", port, address)
        taken = int(address.rpartition(":")[2])

        refused = admin.point("shop", taken, address)

        assert refused["error"] == f"port {taken} cannot be opened: Address already in use"
        assert ask_once(port) == "1"


def test_a_late_deployer_is_refused(admin: Admin, port: int) -> None:
    admin.point("shop", port, "127.0.0.1:1", fence=7)

    refused = admin.point("shop", port, "127.0.0.1:2", fence=6)

    assert refused["error"] == "a later deployment of shop has taken over (6 < 7)"
    assert not admin.order(do="remove", service="shop", fence=6)["ok"]


def test_what_cannot_be_kept_does_not_take_effect(tmp_path: Path, port: int) -> None:
    with running_forwarder(tmp_path / "absent" / "routes.json", tmp_path / "a"):
        admin = Admin(tmp_path / "a")

        refused = admin.point("shop", port, "127.0.0.1:1")

        assert "No such file" in refused["error"]
        assert admin.order(do="status")["routes"] == {}
        until(lambda: is_free(port))


def test_what_cannot_be_kept_leaves_the_route_as_it_was(
    tmp_path: Path, state: Path, port: int
) -> None:
    with running_forwarder(state, tmp_path / "a"), upstream(says("1")) as address:
        admin = Admin(tmp_path / "a")
        admin.point("shop", port, address)
        state.with_name("routes.json.new").mkdir()

        assert not admin.point("shop", port, "127.0.0.1:1")["ok"]
        assert ask_once(port) == "1"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'{"do": "dance"}', "unknown command: dance"),
        (b"{}", "'do'"),
        (b"[]", "list indices must be integers or slices, not str"),
        (b"no json", "Expecting value: line 1 column 1 (char 0)"),
        (b'{"do": "point", "service": "shop"}', "not a route: KeyError('port')"),
    ],
)
def test_a_wrong_command_is_answered(admin: Admin, line: bytes, error: str) -> None:
    wrong, right = admin.ask(line, b'{"do": "status"}')

    assert wrong == {"ok": False, "error": error}
    assert right["ok"]


# -- draining


def test_a_drain_waits_for_an_answer_and_then_closes(admin: Admin, port: int) -> None:
    go_on = threading.Event()
    drained: list[dict[str, Any]] = []

    def slow(client: socket.socket) -> None:
        client.recv(4096)
        go_on.wait(30)
        client.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        client.recv(4096)

    with upstream(slow) as address:
        admin.point("shop", port, address)
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            until(lambda: admin.order(do="status")["in_flight"] == {address: 1})
            draining = in_background(
                lambda: drained.append(admin.order(do="drain", upstream=address, seconds=5))
            )
            go_on.set()

            assert client.recv(4096).startswith(b"HTTP/1.1 204")
            assert client.recv(4096) == b""
            draining.join()

    assert drained == [{"ok": True, "cut": 0}]


def test_a_drain_cuts_what_is_not_answered_in_time(admin: Admin, port: int) -> None:
    def never_answers(client: socket.socket) -> None:
        while client.recv(1):
            pass

    with upstream(never_answers) as address:
        admin.point("shop", port, address)
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(b"x")
            until(lambda: admin.order(do="status")["in_flight"] == {address: 1})

            assert admin.order(do="drain", upstream=address, seconds=0.1)["cut"] == 1
            with pytest.raises(ConnectionResetError):
                client.recv(4096)


# -- coming back


def test_the_table_survives_the_process(tmp_path: Path, state: Path, port: int) -> None:
    with upstream(says("1")) as address:
        with running_forwarder(state, tmp_path / "a"):
            Admin(tmp_path / "a").point("shop", port, address, fence=3)
        assert is_free(port)

        with running_forwarder(state, tmp_path / "a"):
            until(lambda: not is_free(port))

            assert ask_once(port) == "1"
            assert not Admin(tmp_path / "a").point("shop", port, address, fence=2)["ok"]


def test_a_port_that_is_not_free_yet_is_tried_again(
    tmp_path: Path, state: Path, port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with upstream(says("1")) as address:
        write_table(state, {"shop": Route(port, address, "1", 1)}, {"shop": 1})
        with upstream(says("somebody else"), port=port), running_forwarder(state, tmp_path / "a"):
            said = ""
            while f"port {port} cannot be opened" not in said:
                said += capfd.readouterr().err
            status = Admin(tmp_path / "a").order(do="status")
            assert status["routes"]["shop"]["listening"] is False


def test_one_damaged_entry_costs_nobody_else_the_address(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    route = Route(8350, "127.0.0.1:1", "1", 1)
    entries = {"shop": route._asdict(), "bad": {"port": "x"}}
    state.write_text(json.dumps({"routes": entries, "fences": {"shop": 1}}))

    assert read_table(state) == ({"shop": route}, {"shop": 1})
    assert "bad: not a route" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"routes": {"shop"', b"{}"])
def test_a_damaged_file_is_replaced_by_the_one_before_it(state: Path, damage: bytes) -> None:
    first, second = (Route(8350, f"127.0.0.1:{n}", "1", n) for n in (1, 2))
    write_table(state, {"shop": first}, {"shop": 1})
    write_table(state, {"shop": second}, {"shop": 2})
    state.write_bytes(damage)

    assert read_table(state) == ({"shop": first}, {"shop": 1})


def test_without_any_readable_file_the_table_is_empty(state: Path) -> None:
    assert read_table(state) == ({}, {})


def test_the_process_serves_its_own_user_until_it_is_terminated(
    tmp_path: Path, state: Path
) -> None:
    umask = os.umask(0o022)
    admin = tmp_path / "a"
    modes: list[int] = []

    def terminate() -> None:
        until(admin.exists)
        modes.append(admin.stat().st_mode & 0o077)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = in_background(terminate)
    main(state, admin)
    thread.join()
    os.umask(umask)

    assert modes == [0]
    assert not admin.exists()
