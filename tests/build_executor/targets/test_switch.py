import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_executor.errors import DeploymentFailed
from build_executor.targets import switch as switch_module
from build_executor.targets.switch import EmbeddedSwitch, Route
from tests.fakes.forwarder import running_forwarder
from tests.fakes.supervisor import FakeSupervisor
from tests.ports import free_port


@pytest.fixture
def supervisor() -> FakeSupervisor:
    return FakeSupervisor()


@pytest.fixture
def switch(tmp_path: Path, supervisor: FakeSupervisor) -> EmbeddedSwitch:
    return EmbeddedSwitch(tmp_path, supervisor)  # type: ignore[arg-type]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[None]:
    with running_forwarder(tmp_path / "routes.json", tmp_path / "admin.sock"):
        yield


def route(port: int, fence: int = 1) -> Route:
    return Route(service="shop", port=port, upstream="127.0.0.1:1", release="1", fence=fence)


def test_a_switch_that_never_had_a_route_is_not_started(
    switch: EmbeddedSwitch, supervisor: FakeSupervisor
) -> None:
    assert switch.routes() == {}
    switch.remove("shop", 1)
    switch.drain("127.0.0.1:1", 1)

    assert supervisor.programs() == []


@pytest.mark.usefixtures("running")
def test_a_route_stays_until_it_is_removed(
    switch: EmbeddedSwitch, supervisor: FakeSupervisor
) -> None:
    shop = route(free_port())

    switch.point(shop)
    switch.drain(shop.upstream, 1)

    assert switch.routes() == {"shop": shop}
    assert supervisor.programs() == ["switch"]

    switch.remove("shop", 1)

    assert switch.routes() == {}


@pytest.mark.usefixtures("running")
def test_what_the_switch_refuses_is_an_error(switch: EmbeddedSwitch) -> None:
    switch.point(route(free_port(), fence=2))

    with pytest.raises(DeploymentFailed, match="the switch refuses: a later deployment"):
        switch.point(route(free_port(), fence=1))


def test_a_switch_that_does_not_come_up_is_an_error(
    switch: EmbeddedSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch_module, "_START_SECONDS", 0.05)

    with pytest.raises(DeploymentFailed, match="the switch does not start"):
        switch.point(route(free_port()))


def test_a_switch_that_ends_in_the_middle_is_an_error(
    switch: EmbeddedSwitch, tmp_path: Path
) -> None:
    def answer_once(server: socket.socket) -> None:
        for answer in (b'{"ok": true}\n', b""):
            client, _ = server.accept()
            with client:
                client.recv(4096)
                client.sendall(answer)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "admin.sock"))
        server.listen()
        dying = threading.Thread(target=answer_once, args=(server,))
        dying.start()

        with pytest.raises(DeploymentFailed, match="the switch does not answer: it ended"):
            switch.point(route(free_port()))
        dying.join()
