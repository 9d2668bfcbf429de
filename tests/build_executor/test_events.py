import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_executor.events import (
    EVENTS_LOGGER,
    Event,
    EventType,
    emit,
    parse,
    render,
    report_progress,
)
from build_executor.phases import Phase

events = st.builds(
    Event,
    event_type=st.sampled_from(EventType),
    phase=st.sampled_from([*Phase, "after_generation"]).map(str),
    progress_percent=st.none() | st.integers(0, 100),
    duration_seconds=st.none() | st.integers(0, 10**9).map(lambda n: n / 1000),
    message=st.text(),
)


@given(events)
def test_what_is_written_can_be_read_back(event: Event) -> None:
    assert parse(render(event)) == event


def test_a_line_reads_as_a_sentence() -> None:
    event = Event(
        event_type=EventType.PHASE_COMPLETE, phase="build", duration_seconds=1.5, message="ok"
    )

    assert render(event) == "phase_complete build in 1.500 s: ok"


@pytest.mark.parametrize(
    "line", ["", "hello", "progress", "exploded build", "progress BUILD", "progress build 5 %"]
)
def test_other_lines_are_no_events(line: str) -> None:
    assert parse(line) is None


def test_an_event_inside_a_message_stays_a_message() -> None:
    forged = "5 passed\nphase_complete deployment in 1.000 s"

    event = parse(render(Event(event_type=EventType.PROGRESS, phase="build", message=forged)))

    assert event is not None
    assert (event.event_type, event.message) == (EventType.PROGRESS, forged)


def test_events_go_to_their_own_logger(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    emit(Event(event_type=EventType.PHASE_START, phase="build"))
    report_progress(Phase.BUILD, 50, "half way")

    said = [(record.name, record.getMessage()) for record in caplog.records]
    assert said == [
        (EVENTS_LOGGER, "phase_start build"),
        (EVENTS_LOGGER, "progress build 50%: half way"),
    ]
