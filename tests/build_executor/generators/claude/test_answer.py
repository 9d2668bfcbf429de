"""The reader of events, where no server would send them."""

import json

from hypothesis import given
from hypothesis import strategies as st

from build_executor.generators.claude.answer import Answer, Json
from build_executor.generators.model import Outcome, Usage

START: Json = {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 7}}}
STOP: Json = {"type": "message_stop"}


def a_call(text: str) -> list[Json]:
    block = {"type": "tool_use", "id": "t", "name": "write_function", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": text}
    return [
        {"type": "content_block_start", "content_block": block},
        {"type": "content_block_delta", "delta": delta},
        {"type": "content_block_stop"},
    ]


def answer(*events: Json) -> Answer:
    taken = Answer()
    for event in events:
        taken.take(event)
    return taken


def ended(reason: str) -> Json:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {}}


def test_a_call_whose_json_is_not_complete_is_not_whole_wherever_it_stands() -> None:
    said = answer(START, *a_call('{"name": "on'), *a_call("{}"), ended("tool_use"), STOP)

    assert [call.text for call in said.whole_calls()] == ["{}"]


def test_an_event_of_an_unknown_kind_changes_nothing() -> None:
    said = answer(START, {"type": "ping"}, {"type": "something_new"}, ended("end_turn"), STOP)

    assert (said.outcome, said.blocks) == (Outcome.COMPLETE, [])


def test_a_last_call_is_whole_only_once_the_end_is_known_to_be_good() -> None:
    so_far = answer(START, *a_call("{}"))
    over = answer(START, *a_call("{}"), ended("tool_use"), STOP)

    assert (so_far.whole_calls(), len(over.whole_calls())) == ([], 1)


def test_an_answer_without_its_end_is_cut_whatever_its_reason_says() -> None:
    assert answer(START, ended("end_turn")).outcome is Outcome.CUT


def test_the_output_of_a_broken_answer_is_estimated() -> None:
    assert answer(START, *a_call("x" * 300)).usage() == Usage(input_tokens=7, output_tokens=100)


@given(
    texts=st.lists(st.text(max_size=40), min_size=1, max_size=4),
    at=st.integers(min_value=0, max_value=60),
    size=st.integers(min_value=1, max_value=9),
)
def test_wherever_a_stream_is_cut_what_is_whole_is_what_was_written(
    texts: list[str], at: int, size: int
) -> None:
    inputs = [{"name": f"f{number}", "source": text} for number, text in enumerate(texts)]
    events = [START, *(event for one in inputs for event in in_pieces(one, size))]
    events += [ended("tool_use"), STOP]

    said = answer(*events[: at * len(events) // 60])

    whole = [call.input for call in said.whole_calls()]
    assert whole == inputs[: len(whole)]
    assert said.is_over or len(whole) < len(inputs)


def in_pieces(value: Json, size: int) -> list[Json]:
    start, _, stop = a_call("")
    text = json.dumps(value)
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return [start, *({"type": "content_block_delta", "delta": one} for one in deltas), stop]
