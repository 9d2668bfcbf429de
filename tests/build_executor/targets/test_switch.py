import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build_executor import command
from build_executor.errors import CommandFailed, DeploymentFailed
from build_executor.targets import switch_process
from build_executor.targets.switch import Counts, EmbeddedSwitch, Route
from build_executor.targets.switch_process import (
    LocalSwitchProcess,
    asking_argv,
    forwarder_argv,
    forwarder_files,
)
from tests.fakes.forwarder import running_forwarder
from tests.fakes.supervisor import FakeSupervisor
from tests.ports import free_port


@pytest.fixture
def supervisor() -> FakeSupervisor:
    return FakeSupervisor()


@pytest.fixture
def switch(tmp_path: Path, supervisor: FakeSupervisor) -> EmbeddedSwitch:
    return EmbeddedSwitch(LocalSwitchProcess(tmp_path, supervisor))  # type: ignore[arg-type]


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
    assert switch.counts("127.0.0.1:1") == Counts()
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
    assert switch.counts(shop.upstream) == Counts()
    assert supervisor.programs() == ["switch", "switch-spare"]

    switch.remove("shop", 1)

    assert switch.routes() == {}


@pytest.mark.usefixtures("running")
def test_another_version_of_the_forwarder_is_another_program(
    switch: EmbeddedSwitch,
    supervisor: FakeSupervisor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    switch.point(route(free_port()))
    supervisor.pids = {"switch": 1, "switch-spare": 1}
    waiting = tmp_path / "routes.json.waiting"
    threading.Timer(0.1, waiting.write_text, ("1",)).start()
    before = supervisor.definition("switch")
    files = {**forwarder_files(), "build_executor/forwarder/table.py": b"# better"}
    monkeypatch.setattr(switch_process, "forwarder_files", lambda: files)

    switch.point(route(free_port()))

    assert supervisor.definition("switch") != before


@pytest.mark.usefixtures("running")
def test_what_the_switch_refuses_is_an_error(switch: EmbeddedSwitch) -> None:
    switch.point(route(free_port(), fence=2))

    with pytest.raises(DeploymentFailed, match="the switch refuses: a later deployment"):
        switch.point(route(free_port(), fence=1))


def test_a_switch_that_does_not_come_up_is_an_error(
    switch: EmbeddedSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch_process, "_START_SECONDS", 0.05)

    with pytest.raises(DeploymentFailed, match="the switch does not start"):
        switch.point(route(free_port()))


def test_a_switch_that_ends_in_the_middle_is_an_error(
    switch: EmbeddedSwitch, tmp_path: Path
) -> None:
    def answer_once(server: socket.socket) -> None:
        for answer in (b'{"ok": true}\n', b'{"ok": true}\n', b""):
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


# -- on another machine


def test_the_files_that_are_sent_elsewhere_are_all_that_it_needs(tmp_path: Path) -> None:
    for name, content in forwarder_files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    state, admin, question = (tmp_path / name for name in ("routes.json", "a", "question"))
    shop = {**route(free_port()).model_dump(), "candidate": None}
    question.write_text(json.dumps({"do": "point", **shop}))

    def ask() -> Any:  # noqa: ANN401 - JSON
        argv = asking_argv(sys.executable, str(admin), 5)
        reading = ("sh", "-c", 'exec "$@" <question', "sh", *argv)
        return json.loads(command.run(reading, timeout=20, cwd=tmp_path).output)

    forwarder = forwarder_argv(sys.executable, str(state), str(admin), "127.0.0.2")
    process = command.start(forwarder, log=tmp_path / "log", cwd=tmp_path)
    try:
        while not admin.exists():
            assert process.poll() is None, (tmp_path / "log").read_text()

        assert ask() == {"ok": True}
        socket.create_connection(("127.0.0.2", shop["port"]), 5).close()
    finally:
        command.stop(process)
    with pytest.raises(CommandFailed, match="no answer: "):
        ask()
