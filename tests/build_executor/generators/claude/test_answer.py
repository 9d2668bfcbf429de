"""The reader of events, where no server would send them."""

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
