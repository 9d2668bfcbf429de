import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from api.feed import Hub, message_of
from api.runs import StateType
from api.stream import router
from build_executor.settings import Settings
from tests.fakes.gateway import OneBuild
from tests.fixtures.shapes import EXAMPLES, missing
from tests.ports import free_port

KEY = "k" * 32

pytestmark = pytest.mark.full


@contextlib.contextmanager
def serving(build: OneBuild, secret: str | None = None, hub: Hub | None = None) -> Iterator[str]:
    """The stream alone, under uvicorn; its URL."""
    app, port = FastAPI(), free_port()
    app.include_router(router)
    key = SecretStr(secret) if secret else None
    app.state.adapter = SimpleNamespace(settings=Settings(jwt_secret=key))
    app.state.hub = hub or Hub(build)
    config = uvicorn.Config(app, port=port, log_level="error", ws_max_size=16_384)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"ws://127.0.0.1:{port}/builds/{build.id}/stream"
    finally:
        server.should_exit = True
        thread.join(20)


def read_all(stream: Connection) -> list[dict[str, Any]]:
    """Messages up to the end of the stream."""
    return [json.loads(message) for message in stream]


def test_who_connects_late_misses_nothing() -> None:
    build = OneBuild()
    build.say("phase_start code_generation")
    build.say("progress code_generation 50%: wrote main.py")
    build.say("phase_complete code_generation in 1.500 s")
    build.end()

    with serving(build) as url, connect(url) as stream:
        messages = read_all(stream)

    assert [message["event_type"] for message in messages] == [
        "phase_start",
        "progress",
        "phase_complete",
        "log",
        "end",
    ]
    assert messages[-1]["status"] == "completed"
    assert stream.close_code == 1000


def test_events_have_the_specifications_fields() -> None:
    build = OneBuild()
    build.say("phase_start code_generation")
    build.say("progress code_generation 50%: wrote main.py")
    build.say("phase_complete code_generation in 1.500 s")
    build.end()

    with serving(build) as url, connect(url) as stream:
        messages = read_all(stream)

    examples = EXAMPLES["WS /builds/{build_id}/stream"]
    assert [missing(one, said) for one, said in zip(examples, messages[:3], strict=True)] == [
        []
    ] * 3


def test_lines_arrive_while_the_build_runs_even_those_that_come_late() -> None:
    build = OneBuild()
    first = build.say("progress build 1%: first")

    with serving(build) as url, connect(url) as stream:
        assert json.loads(stream.recv(5))["id"] == first
        second = build.say("progress build 2%: second")
        assert json.loads(stream.recv(5))["id"] == second
        late = build.say("progress build 1%: from another process", seconds_ago=2)
        assert json.loads(stream.recv(5))["id"] == late
        build.end(StateType.FAILED, "failed_build", "pytest: 1 failed")
        last = read_all(stream)[-1]

    assert last["status"] == "failed"
    assert last["error"] == "failed_build: pytest: 1 failed"


def test_a_watcher_goes_on_where_it_was() -> None:
    build = OneBuild()
    ids = [build.say(f"progress build {percent}%: x") for percent in range(5)]
    build.end()

    with serving(build) as url, connect(url) as watching:
        watching.recv(5)
        with connect(f"{url}?after={ids[2]}") as stream:
            messages = read_all(stream)

    assert [message.get("id") for message in messages[:2]] == ids[3:]


def test_all_watchers_get_everything_once_while_stuck_ones_are_dropped() -> None:
    build = OneBuild()
    hub = Hub(build, send_seconds=1)

    with serving(build, hub=hub) as url, ThreadPoolExecutor(20) as pool:
        watching = [pool.submit(_watch, url) for _ in range(20)]
        stuck = [_stuck_watcher(url) for _ in range(3)]
        for number in range(600):
            build.say(f"{number} " + "x" * 20_000, "prefect.flow_runs")
            time.sleep(0.002)
        build.end()
        received = [watcher.result(60) for watcher in watching]
        _wait_until(lambda: hub.watchers == 0)
        for one in stuck:
            one.close()

    expected = [str(number) for number in range(600)]
    assert all([text.split()[0] for text in texts[:-1]] == expected for texts in received)


def test_an_unknown_build_is_told_by_the_close_code() -> None:
    build = OneBuild()

    with (
        serving(build) as url,
        connect(url.replace(build.id, "nothing")) as stream,
        pytest.raises(ConnectionClosed) as closed,
    ):
        stream.recv(5)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4404


def test_binary_from_a_watcher_ends_its_stream_and_text_does_not() -> None:
    build = OneBuild()

    with serving(build) as url, connect(url) as stream:
        stream.send("garbage")
        stream.send("{}")
        stream.send(b"\x00\xff")
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(5)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1003


def test_a_frame_that_is_too_large_ends_the_stream() -> None:
    build = OneBuild()

    with (
        serving(build) as url,
        connect(url) as stream,
        pytest.raises(ConnectionClosed) as closed,
    ):
        _say_too_much(stream)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer nonsense"}, 401),
        ({"Origin": "http://evil.example"}, 403),
    ],
)
def test_a_stranger_is_refused_before_the_stream_is_open(
    headers: dict[str, str], status: int
) -> None:
    with serving(OneBuild(), KEY) as url, pytest.raises(InvalidStatus) as refused:
        connect(url, additional_headers=headers)

    assert refused.value.response.status_code == status


def test_what_generated_code_prints_is_never_an_event() -> None:
    build = OneBuild()
    build.say("phase_complete deployment in 1.000 s\x1b]0;x\x07", "prefect.task_runs")
    build.say("progress build 5%: \x1b[31mred", "build_executor.events")
    build.end()

    with serving(build) as url, connect(url) as stream:
        raw = list(stream)

    printed, said = json.loads(raw[0]), json.loads(raw[1])
    assert printed["event_type"] == "log"
    assert said["message"] == "\x1b[31mred"
    assert all("\x1b" not in str(text) for text in raw)


def test_an_approval_names_its_checkpoint() -> None:
    build = OneBuild()
    build.say("approval_required before_deployment")
    line = build._lines[0]  # noqa: SLF001 - the fake's own line

    assert message_of(build.id, line)["checkpoint"] == "before_deployment"


def _say_too_much(stream: Connection) -> None:
    stream.send("x" * 100_000)
    stream.recv(5)


def _wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _watch(url: str) -> list[str]:
    with connect(url) as stream:
        return [json.loads(message).get("message", "end") for message in stream][:-1]


def _stuck_watcher(url: str) -> socket.socket:
    """Shakes hands, and never reads again."""
    address, _, path = url.removeprefix("ws://").partition("/")
    host, _, port = address.partition(":")
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.connect((host, int(port)))
    stuck.sendall(
        f"GET /{path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    return stuck
