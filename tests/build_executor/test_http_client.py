from collections.abc import Iterator

import pytest

from build_executor.errors import NoAnswer
from build_executor.http_client import HttpClient
from tests.fakes.http_server import Answer, FakeServer, Fault, Json


class Echo(FakeServer):
    """Answers with what it was sent."""

    def respond(self, method: str, path: str, body: Json) -> Answer:
        if path == "/nothing":
            return 204, None
        return 200, {"method": method, "path": path, "body": body}


@pytest.fixture
def server() -> Iterator[Echo]:
    with Echo() as server:
        yield server


def test_json_goes_there_and_back(server: Echo) -> None:
    with HttpClient(server.url + "/") as client:
        answer = client.call("POST", "/pay", {"amount": 5}, {"page": 1})

    assert answer.status == 200
    assert answer.fields == {"method": "POST", "path": "/pay", "body": {"amount": 5}}
    assert answer.duration_ms > 0


def test_an_empty_answer_has_no_body(server: Echo) -> None:
    with HttpClient(server.url) as client:
        answer = client.get("/nothing")

    assert (answer.status, answer.body, answer.fields) == (204, None, {})


def test_what_is_not_json_is_only_an_excerpt(server: Echo) -> None:
    server.always = Fault.HTML

    with HttpClient(server.url) as client:
        answer = client.get("/")

    assert (answer.body, answer.excerpt) == (None, "<html>hello</html>")


def test_a_redirect_is_an_answer_and_is_not_followed(server: Echo) -> None:
    server.always = Fault.REDIRECT

    with HttpClient(server.url) as client:
        assert client.get("/").status == 302

    assert server.calls() == ["GET /"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.HUGE, "larger than 1 MiB"),
        (Fault.RESET, "reset"),
        (Fault.GARBAGE, "illegal status line"),
        (Fault.HANG, "timed out|no whole answer in 0.2 s"),
        (Fault.DRIP, "no whole answer in 0.2 s"),
    ],
)
def test_a_broken_peer_gives_no_answer_within_the_time(
    server: Echo, fault: Fault, reason: str
) -> None:
    server.always = fault

    with HttpClient(server.url, call_seconds=0.2) as client, pytest.raises(NoAnswer, match=reason):
        client.get("/")


def test_an_encrypted_address_is_not_trusted_blindly(server: Echo) -> None:
    secure = server.url.replace("http:", "https:")

    with HttpClient(secure, call_seconds=1) as client, pytest.raises(NoAnswer):
        client.get("/")


def test_an_address_that_makes_no_sense_gives_no_answer() -> None:
    with HttpClient("http://127.0.0.1:1") as client, pytest.raises(NoAnswer, match="refused"):
        client.get("/")
