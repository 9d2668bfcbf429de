from collections.abc import Iterator
from pathlib import Path

import pytest

from build_executor.errors import NoAnswer
from build_executor.mesh.verifier import MeshVerifier
from tests.fakes.http_server import Fault
from tests.fakes.mesh import FakeVerifier

FOLDER = Path("/builds/7/droplet")


@pytest.fixture
def server() -> Iterator[FakeVerifier]:
    with FakeVerifier() as server:
        yield server


def verifier(server: FakeVerifier, budget_seconds: float = 10) -> MeshVerifier:
    return MeshVerifier(server.url, budget_seconds=budget_seconds, sleep=lambda _: None)


@pytest.mark.parametrize(
    ("decision", "approved"),
    [("APPROVED", True), ("APPROVED_WITH_NOTES", True), ("FIXES_REQUIRED", False)],
)
def test_its_decision_is_waited_for(server: FakeVerifier, decision: str, *, approved: bool) -> None:
    server.decision, server.busy_polls = decision, 3

    with verifier(server) as client:
        verdict = client.verify(FOLDER, "shop")

    assert (verdict.decision, verdict.approved) == (decision, approved)
    assert server.asked == {"droplet_path": str(FOLDER), "droplet_name": "shop"}


def test_what_it_found_is_read_from_its_phases(server: FakeVerifier) -> None:
    server.decision = "FIXES_REQUIRED"
    checks = [
        {"name": "print", "status": "FAIL", "message": "uses print"},
        {"name": "todo", "status": "PASS"},
    ]
    server.phases = [{"name": "Quality", "checks": checks}, "odd"]  # type: ignore[list-item]

    with verifier(server) as client:
        verdict = client.verify(FOLDER, "shop")

    assert [str(f) for f in verdict.findings] == ["[verifier/Quality] print: uses print"]


def test_a_job_that_broke_is_no_approval(server: FakeVerifier) -> None:
    server.decision = None

    with verifier(server) as client:
        verdict = client.verify(FOLDER, "shop")

    assert verdict.decision == "failed without a decision"
    assert not verdict.approved


def test_a_poll_without_an_answer_means_busy(server: FakeVerifier) -> None:
    with verifier(server) as client:
        server.faults = []
        answered = server.respond

        def respond(method: str, path: str, body: object) -> tuple[int, object]:
            if method == "POST":
                server.faults = [Fault.RESET, Fault.RESET]
            return answered(method, path, body)

        server.respond = respond  # type: ignore[method-assign]

        assert client.verify(FOLDER, "shop").approved


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.HTML, Fault.RESET, Fault.NOT_FOUND])
def test_a_verifier_that_takes_no_order_gives_no_verdict(
    server: FakeVerifier, fault: Fault
) -> None:
    server.always = fault

    with verifier(server) as client, pytest.raises(NoAnswer):
        client.verify(FOLDER, "shop")


def test_a_verifier_that_forgot_the_job_gives_no_verdict(server: FakeVerifier) -> None:
    server.busy_polls = 1_000_000
    with verifier(server, budget_seconds=0.2) as client, pytest.raises(NoAnswer, match="in time"):
        client.verify(FOLDER, "shop")


class Restarted(FakeVerifier):
    """Takes an order and does not remember it."""

    def respond(self, method: str, path: str, body: object) -> tuple[int, object]:
        return super().respond(method, path, body) if method == "POST" else (404, {"detail": "?"})


def test_a_lost_job_is_noticed() -> None:
    with (
        Restarted() as server,
        verifier(server) as client,
        pytest.raises(NoAnswer, match="answered 404"),
    ):
        client.verify(FOLDER, "shop")
