import itertools
import socket
import threading
from collections.abc import Iterator

import pytest

from build_executor.errors import DeploymentFailed
from build_executor.targets import availability
from build_executor.targets.availability import Watch, p99
from build_executor.targets.probing import await_release, release_at
from tests.fakes.forwarder import Conversation, upstream
from tests.ports import free_port


def answers(*responses: str) -> Conversation:
    """Gives one response a connection, the last one for ever; an empty one is a hang-up."""
    remaining: Iterator[str] = itertools.chain(responses[:-1], itertools.repeat(responses[-1]))

    def conversation(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(next(remaining).encode())

    return conversation


def health(body: str, status: str = "200 OK") -> str:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n{body}"


@pytest.mark.parametrize(
    ("response", "release"),
    [
        (health('{"release": "1.0.0-abc"}'), "1.0.0-abc"),
        (health('{"release": "1.0.0-abc"}', "503 Service Unavailable"), None),
        (health("[]"), None),
        (health("no json"), None),
        ("no http at all", None),
        ("", None),
    ],
)
def test_only_a_healthy_answer_says_which_release_it_is(response: str, release: str | None) -> None:
    with upstream(answers(response)) as address:
        assert release_at(f"http://{address}") == release


def test_waiting_ends_when_the_release_answers() -> None:
    responses = answers("", health('{"release": "old"}'), health('{"release": "new"}'))

    with upstream(responses) as address:
        await_release(f"http://{address}", "new", 5, lambda: None)


def test_waiting_ends_early_for_a_release_that_will_never_answer() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(DeploymentFailed, match="new does not start: its process ended"):
        await_release(url, "new", 60, lambda: "its process ended")


def test_waiting_ends_when_time_is_over() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(DeploymentFailed, match=r"is not at .* no healthy answer"):
        await_release(url, "new", 0, lambda: None)


def test_a_watch_counts_what_users_would_have_met() -> None:
    good = health('{"release": "1"}')

    with upstream(answers(good, "", good)) as address:
        url = f"http://{address}"
        with Watch(lambda: release_at(url)) as watch:
            seen = watch.close()

    assert seen.requests >= 5
    assert seen.failed == 1
    assert seen.longest_gap_ms >= seen.p99_ms > 0


@pytest.mark.parametrize(("slowest", "expected"), [(0, 0), (1, 1), (99, 99), (100, 99), (200, 198)])
def test_99_of_100_are_answered_within_the_p99(slowest: int, expected: int) -> None:
    assert p99([float(second) for second in range(slowest, 0, -1)]) == expected


def test_a_watch_asks_less_often_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "_NEW_SECONDS", 0)
    monkeypatch.setattr(availability, "_LATER_PAUSE_SECONDS", 60)
    monkeypatch.setattr(availability, "_NOT_ASKED_SECONDS", 0.1)

    with Watch(lambda: "1") as watch:
        seen = watch.close()

    assert seen.requests == 1


def test_what_failed_before_anything_answered_was_nobodys_loss() -> None:
    with Watch(lambda: None) as watch:
        seen = watch.close()

    assert (seen.requests, seen.failed, seen.p99_ms) == (0, 0, 0)
    assert watch.silence() > 0


def test_a_watch_does_not_wait_for_what_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "_NOT_ASKED_SECONDS", 0.01)
    hangs = threading.Event()

    with Watch(lambda: "1" if hangs.wait(30) else None) as watch:
        seen = watch.close()
        hangs.set()

    assert seen.requests == 0
