import pytest

from build_executor.forwarder import tallies as module
from build_executor.forwarder.tallies import Tallies


def test_answers_and_failures_are_counted_by_upstream() -> None:
    tallies = Tallies()

    tallies.answered("a:1", is_failure=False)
    tallies.answered("a:1", is_failure=True)
    tallies.failed("a:1")
    tallies.failed("b:1")

    assert tallies.report() == {
        "a:1": {"answered": 1, "failed": 2},
        "b:1": {"answered": 0, "failed": 1},
    }


def test_the_upstreams_of_the_past_are_forgotten() -> None:
    tallies = Tallies()

    for port in range(1000):
        tallies.failed(f"a:{port}")

    assert len(tallies.report()) < 300
    assert "a:999" in tallies.report()


def test_who_has_answered_lately_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    tallies = Tallies()
    tallies.answered("a:1", is_failure=False)
    tallies.failed("b:1")

    monkeypatch.setattr(module, "_LATELY_SECONDS", 1000.0)
    assert tallies.answers_now("a:1")
    assert not tallies.answers_now("b:1")
    monkeypatch.setattr(module, "_LATELY_SECONDS", 0.0)
    assert not tallies.answers_now("a:1")
