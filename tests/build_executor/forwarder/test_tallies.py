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
