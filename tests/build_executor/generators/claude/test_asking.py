"""Claude as a model, through the real client, against the stand-in."""

import asyncio
import itertools
import logging

import pytest

from build_executor.errors import CostCeilingReached, InvalidSettings, ModelUnavailable
from build_executor.generators.claude.asking import Claude, Patience
from build_executor.generators.claude.asking import open_claude as open_configured
from build_executor.generators.claude.faults import Endpoint
from build_executor.generators.model import Outcome, Question, Write
from build_executor.settings import Settings
from build_executor.spending import Call, Spending, today
from tests.build_executor.generators.claude.conftest import BUILD, NEW, QUICK, OpenClaude
from tests.messages_rules import Json, Known, Refuses, invalid
from tests.messages_server import (
    MessagesServer,
    Raw,
    Says,
    Text,
    Thinking,
    ToolCall,
    overloaded,
    prose,
    rate_limited,
    refusal,
    structured,
    truncated,
    writes,
)

OLD = "claude-sonnet-4-5-20250929"
ONE, TWO = "def one() -> int:\n    return 1\n", "def two() -> str:\n    return 'zwei …'\n"
BOTH = {"one": ONE, "two": TWO}
FIRST = Write(kind="function", name="one", text=ONE)
SECOND = Write(kind="function", name="two", text=TWO)
LONG, ENDLESS = Patience(seconds=600), 1e6
ETERNAL = Patience(seconds=1e12)
QUESTION = Question(
    stable="rules\n" + "the SPEC " * 500,
    task="write one and two",
    functions=frozenset(BOTH),
    files=frozenset({"tests/extra/test_one.py"}),
)


def test_every_function_of_an_answer_is_a_write(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [writes(BOTH)]
    heard: list[Write] = []

    reply = open_claude().ask(QUESTION, heard.append)

    assert (reply.outcome, reply.writes) == (Outcome.COMPLETE, (FIRST, SECOND))
    assert (heard, reply.model) == ([FIRST, SECOND], NEW)


def test_the_request_is_what_current_models_take(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [writes(BOTH)]

    open_claude().ask(QUESTION)

    body = server.calls[0]
    assert body["tool_choice"] == {"type": "auto"}
    assert [tool["strict"] for tool in body["tools"]] == [True, True]
    assert body["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert body["max_tokens"] >= 32_000
    assert body["output_config"] == {"effort": "medium"}
    assert body["stream"] is True
    assert not {"temperature", "top_p", "top_k", "thinking"} & set(body)


def test_what_one_model_does_not_take_is_still_asked_of_the_next(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.models[NEW] = Known(takes_effort=False)
    server.otherwise = writes(BOTH)
    claude = open_claude(NEW, "claude-opus-5-5")
    claude.ask(QUESTION)
    del server.models[NEW]

    claude.ask(QUESTION)

    asked = [(one["model"], "output_config" in one) for one in server.calls]
    assert asked == [(NEW, False), ("claude-opus-5-5", True)]


def test_a_model_that_takes_no_effort_is_not_asked_for_any(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [writes(BOTH)]

    open_claude(OLD).ask(QUESTION)

    assert len(server.seen) == 2
    assert not any("output_config" in one.body for one in server.seen)


def test_tokens_are_counted_before_each_call(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    open_claude().ask(QUESTION)

    asked = [seen.path for seen in server.seen]
    assert asked == ["/v1/messages/count_tokens", "/v1/messages"]


def test_claude_gets_its_tools_results_until_all_is_written(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [
        Says((Thinking("hm"), Text("First one."), *writes({"one": ONE}).blocks)),
        writes({"two": TWO}, {"tests/extra/test_one.py": "x = 1\n"}),
    ]

    reply = open_claude().ask(QUESTION)

    assert [write.name for write in reply.writes] == ["one", "two", "tests/extra/test_one.py"]
    assert (reply.outcome, reply.text) == (Outcome.COMPLETE, "First one.")
    assert server.calls[1]["messages"][1]["content"][0]["signature"]
    assert server.calls[1]["messages"][2]["content"][0]["content"] == "kept"
    assert len(server.calls) == 2


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_text_of_nothing_is_not_said_again(
    server: MessagesServer, open_claude: OpenClaude, text: str
) -> None:
    server.script = [Says((Text(text), *writes({"one": ONE}).blocks)), writes({"two": TWO})]

    reply = open_claude().ask(QUESTION)

    assert reply.writes == (FIRST, SECOND)


def test_thoughts_that_are_not_taken_back_are_left_out(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    thought = Thinking("hm", signature=f"{NEW}:of another conversation")
    server.script = [Says((thought, *writes({"one": ONE}).blocks)), writes({"two": TWO})]

    reply = open_claude().ask(QUESTION)

    assert reply.writes == (FIRST, SECOND)
    asked = [block["type"] for block in server.seen[-1].body["messages"][1]["content"]]
    assert asked == ["tool_use"]


def test_thoughts_of_a_model_that_has_gone_are_no_fault(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    def then_it_goes(_: Json) -> Says:
        server.counting = [Refuses(404, "not_found_error", f"model: {OLD}")]
        return Says((Thinking("hm"), *writes({"one": ONE}).blocks))

    server.script = [then_it_goes, writes({"two": TWO})]

    reply = open_claude(OLD, NEW).ask(QUESTION)

    assert (reply.writes, reply.model) == ((FIRST, SECOND), NEW)


def test_a_model_that_repeats_itself_is_not_asked_on(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.otherwise = writes({"one": ONE})

    reply = open_claude().ask(QUESTION)

    assert (reply.writes, len(server.calls)) == ((FIRST,), 2)


def test_files_that_are_asked_for_alone_are_waited_for(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    question = QUESTION.model_copy(
        update={"functions": frozenset(), "files": frozenset({"tests/extra/a.py", "b.py"})}
    )
    server.script = [writes({}, {"tests/extra/a.py": "a\n"}), writes({}, {"b.py": "b\n"})]

    reply = open_claude().ask(question)

    assert [write.name for write in reply.writes] == ["tests/extra/a.py", "b.py"]


def test_what_was_not_asked_for_is_kept_apart(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [writes({"one": ONE, "other": TWO}, {"tests/contract/test_x.py": "pass\n"})]

    reply = open_claude().ask(QUESTION)

    assert reply.writes == (FIRST,)
    assert [write.name for write in reply.unasked] == ["other", "tests/contract/test_x.py"]


def test_a_call_without_its_fields_is_no_write(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    calls = (ToolCall("write_function", {"name": "one"}), ToolCall("bash", {"command": "ls"}))
    server.script = [Says((*calls, *writes({"two": TWO}).blocks)), prose()]

    reply = open_claude().ask(QUESTION)

    assert reply.writes == (SECOND,)
    results = server.calls[1]["messages"][-1]["content"]
    assert [result.get("is_error", False) for result in results] == [True, True, False]


def test_the_output_limit_keeps_what_is_whole(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [truncated(BOTH)]

    reply = open_claude().ask(QUESTION)

    assert (reply.outcome, reply.writes) == (Outcome.TRUNCATED, (FIRST,))
    assert reply.detail == "stopped for `max_tokens`"


def test_the_last_function_before_the_output_limit_is_not_trusted_even_if_it_looks_whole(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [writes(BOTH, stop_reason="max_tokens")]

    reply = open_claude().ask(QUESTION)

    assert reply.writes == (FIRST,)


@pytest.mark.parametrize(
    ("breaks", "outcome"),
    [
        ("stream", Outcome.CUT),
        ("connection", Outcome.CUT),
        ("silence", Outcome.CUT),
        ("overloaded", Outcome.OVERLOADED),
    ],
)
def test_an_answer_that_breaks_off_keeps_what_is_whole(
    server: MessagesServer, open_claude: OpenClaude, breaks: str, outcome: Outcome
) -> None:
    server.script = [writes(BOTH, breaks=breaks)]  # type: ignore[arg-type]

    reply = open_claude(patience=ETERNAL).ask(
        QUESTION, lambda _: time_flies() if breaks == "silence" else None
    )

    assert (reply.outcome, reply.writes, len(server.calls)) == (outcome, (FIRST,), 1)
    assert reply.detail


@pytest.mark.parametrize("breaks", ["stream", "connection", "overloaded"])
def test_an_answer_that_broke_off_before_anything_was_whole_is_asked_for_again(
    server: MessagesServer, open_claude: OpenClaude, breaks: str
) -> None:
    server.script = [writes({"one": ONE}, breaks=breaks), writes(BOTH)]  # type: ignore[arg-type]

    reply = open_claude().ask(QUESTION)

    assert (reply.outcome, len(reply.writes)) == (Outcome.COMPLETE, 2)


def test_an_answer_that_breaks_off_each_time_is_given_up(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.otherwise = writes({"one": ONE}, breaks="overloaded")

    reply = open_claude().ask(QUESTION)

    assert (reply.outcome, len(server.calls)) == (Outcome.OVERLOADED, 3)
    assert reply.writes == ()


@pytest.mark.parametrize("busy", [overloaded(), rate_limited("3600"), overloaded("x")])
def test_a_busy_server_is_asked_again_within_our_own_patience(
    server: MessagesServer, open_claude: OpenClaude, busy: Refuses
) -> None:
    server.script = [busy, busy, writes(BOTH)]

    reply = open_claude().ask(QUESTION)

    assert reply.outcome is Outcome.COMPLETE


def test_a_busy_count_of_tokens_is_asked_again(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.counting, server.script = [overloaded("0.001")], [writes(BOTH)]

    assert open_claude().ask(QUESTION).outcome is Outcome.COMPLETE


def test_a_server_that_stays_busy_is_no_model(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.otherwise = overloaded()

    with pytest.raises(ModelUnavailable, match=r"overloaded_error 529: Overloaded \(request req_"):
        open_claude().ask(QUESTION)

    assert len(server.calls) == 3


def test_a_wait_is_as_long_as_the_server_asks_and_never_longer_than_ours() -> None:
    patience = Patience(first_wait=0.5, longest_wait=30)

    assert patience.wait(0, asked_for=7) == 7
    assert patience.wait(0, asked_for=3600) == 30
    assert patience.wait(0, None) <= 0.5 < patience.wait(2, None) <= 2
    assert patience.wait(20, None) == 30


def test_nobody_there_is_no_model(spending: Spending) -> None:
    claude = Claude(Endpoint("http://127.0.0.1:1", "key-of-a-test"), (NEW,), spending, QUICK)

    with pytest.raises(ModelUnavailable, match="Connection error"):
        claude.ask(QUESTION)


def test_another_server_at_that_address_is_no_model(
    server: MessagesServer, spending: Spending
) -> None:
    claude = Claude(Endpoint(f"{server.url}/elsewhere", server.key), (NEW,), spending, QUICK)

    with pytest.raises(ModelUnavailable):
        claude.ask(QUESTION)


def test_a_proxy_that_does_not_know_the_address_does_not_take_a_model_away(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.counting = [Refuses(404, "proxy_error", "no such route")]
    server.script = [writes(BOTH)]

    reply = open_claude(NEW, "claude-opus-5-5").ask(QUESTION)

    assert (reply.model, reply.outcome) == (NEW, Outcome.COMPLETE)


@pytest.mark.parametrize(
    "refused",
    [
        Refuses(402, "billing_error", "Your credit balance is too low"),
        Refuses(403, "permission_error", "Your key may not use this"),
        invalid("Your credit balance is too low to access the API"),
    ],
)
def test_a_key_without_credit_or_permission_is_said_at_once(
    server: MessagesServer, open_claude: OpenClaude, refused: Refuses
) -> None:
    server.otherwise = refused

    with pytest.raises(ModelUnavailable, match=refused.message):
        open_claude().ask(QUESTION)

    assert len(server.calls) == 1


def test_a_wrong_key_is_said_at_once_and_the_key_is_not(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    with pytest.raises(ModelUnavailable, match="authentication_error 401") as failure:
        open_claude(key="sk-wrong-key").ask(QUESTION)

    assert "sk-wrong-key" not in str(failure.value)
    assert len(server.seen) == 1


def test_the_next_model_is_asked_when_one_is_gone(
    server: MessagesServer, open_claude: OpenClaude, caplog: pytest.LogCaptureFixture
) -> None:
    del server.models[OLD]
    server.otherwise = writes(BOTH)
    claude = open_claude(OLD, "claude-unheard-of", NEW)

    replies = [claude.ask(QUESTION), claude.ask(QUESTION)]

    assert [reply.model for reply in replies] == [NEW, NEW]
    assert [one.body["model"] for one in server.seen].count(OLD) == 1
    assert f"{OLD} is gone: not_found_error 404: model: {OLD}" in caplog.text


def test_the_configured_models_are_asked_in_their_order(
    server: MessagesServer, settings: Settings
) -> None:
    configured = settings.model_copy(
        update={
            "anthropic_base_url": server.url,
            "anthropic_api_key": Settings(anthropic_api_key=server.key).anthropic_api_key,
            "claude_model": "claude-gone",
            "claude_fallback_models": ("claude-opus-5-5", "claude-gone", NEW),
        }
    )
    server.otherwise = writes(BOTH)

    reply = open_configured(configured, BUILD).ask(QUESTION)

    assert reply.model == "claude-opus-5-5"
    assert [one.body["model"] for one in server.seen] == ["claude-gone", *["claude-opus-5-5"] * 2]


def test_it_is_said_when_every_model_is_gone(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.models.clear()

    with pytest.raises(ModelUnavailable, match="every model of the list is gone"):
        open_claude(OLD, NEW).ask(QUESTION)


def test_a_model_that_is_to_retire_is_announced_once(
    server: MessagesServer, open_claude: OpenClaude, caplog: pytest.LogCaptureFixture
) -> None:
    server.otherwise = writes(BOTH)

    claude = open_claude(OLD)
    claude.ask(QUESTION)
    claude.ask(QUESTION)

    warned = [record.message for record in caplog.records if "retires on" in record.message]
    assert warned == [f"{OLD} retires on 2026-11-30; set CLAUDE_MODEL, for example to {NEW}"]


def test_a_parameter_that_is_not_taken_is_left_out_from_then_on(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.models[NEW] = Known(takes_effort=False)
    server.otherwise = writes(BOTH)
    claude = open_claude()

    claude.ask(QUESTION)
    claude.ask(QUESTION)

    assert ["output_config" in one.body for one in server.seen] == [
        True,
        False,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("complaint", "missing"),
    [
        ("tools.0.custom.strict: not available", '"strict"'),
        ("system.0.cache_control: not available", "cache_control"),
        ("tool_choice: not available", "tool_choice"),
    ],
)
def test_whatever_parameter_is_complained_of_is_left_out(
    server: MessagesServer, open_claude: OpenClaude, complaint: str, missing: str
) -> None:
    server.script = [invalid(complaint), writes(BOTH)]

    reply = open_claude().ask(QUESTION)

    assert reply.outcome is Outcome.COMPLETE
    assert missing not in str(server.calls[1]).replace("'", '"')


def test_parameters_are_left_out_one_after_the_other(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    complaints = ("output_config.effort: no", "tools.0.custom.strict: no")
    server.script = [*map(invalid, complaints), writes(BOTH)]

    reply = open_claude().ask(QUESTION)

    assert reply.outcome is Outcome.COMPLETE
    assert "output_config" not in server.calls[2]
    assert "strict" not in str(server.calls[2]["tools"])


def test_a_request_that_is_refused_for_another_reason_is_not_repeated(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.otherwise = invalid("messages: something else")

    with pytest.raises(ModelUnavailable, match="invalid_request_error 400: messages: something"):
        open_claude().ask(QUESTION)

    assert len(server.calls) == 1


@pytest.mark.parametrize(
    "answer",
    [
        invalid("prompt is too long: 250000 tokens > 200000 maximum"),
        Refuses(413, "request_too_large", "Request exceeds the maximum size"),
        Says((Text("so"),), stop_reason="model_context_window_exceeded"),
    ],
)
def test_a_question_that_does_not_fit_is_an_outcome(
    server: MessagesServer, open_claude: OpenClaude, answer: Says | Refuses
) -> None:
    server.script = [answer]

    reply = open_claude().ask(QUESTION)

    assert (reply.outcome, reply.writes) == (Outcome.TOO_LONG, ())


def test_a_refusal_takes_back_what_was_said_before(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    first = writes({"one": ONE})
    server.script = [first, refusal("cyber")]

    reply = open_claude().ask(QUESTION)

    assert (reply.outcome, reply.writes) == (Outcome.REFUSED, ())
    assert reply.detail == "stopped for `refusal` (cyber: It could do harm.)"
    assert len(server.calls) == 2


def test_prose_alone_is_an_outcome(server: MessagesServer, open_claude: OpenClaude) -> None:
    server.script = [prose("I would rather talk.")]

    reply = open_claude().ask(QUESTION)

    assert (reply.outcome, reply.text) == (Outcome.PROSE, "I would rather talk.")


def test_a_paused_turn_is_sent_back_and_goes_on(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [Says((Text("Wait."),), stop_reason="pause_turn"), writes(BOTH)]

    reply = open_claude().ask(QUESTION)

    assert len(reply.writes) == 2
    assert server.calls[1]["messages"][-1]["content"] == [{"type": "text", "text": "Wait."}]


def test_an_unknown_end_is_no_good_end(server: MessagesServer, open_claude: OpenClaude) -> None:
    server.script = [writes(BOTH, stop_reason="something_new")]

    reply = open_claude().ask(QUESTION)

    assert (reply.outcome, reply.writes) == (Outcome.CUT, (FIRST,))
    assert reply.detail == "stopped for `something_new`"


def test_our_own_clock_ends_an_answer_that_does_not(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [writes(BOTH, breaks="silence")]

    reply = open_claude(patience=LONG, silence=ENDLESS).ask(QUESTION, lambda _: time_passes())

    assert (reply.outcome, reply.writes) == (Outcome.TIMED_OUT, (FIRST,))
    assert reply.detail == "no end after 600 s"


def test_an_answer_that_never_brings_anything_is_no_model(
    server: MessagesServer, settings: Settings
) -> None:
    class Slow(Spending):
        """Time passes once a call is reserved."""

        def reserve(self, model: str, attempt: int, input_tokens: int, most_output: int) -> Call:
            time_passes()
            return super().reserve(model, attempt, input_tokens, most_output)

    spending, endpoint = Slow(settings, BUILD), Endpoint(server.url, server.key)
    server.script = [writes({"one": ONE}, breaks="silence")]

    with pytest.raises(ModelUnavailable, match="no end after 600 s"):
        Claude(endpoint, (NEW,), spending, LONG).ask(QUESTION)

    assert spending.cost().calls[0].outcome == "abandoned"
    assert spending.cost().counted_dollars > 0


def time_passes() -> None:
    """The running loop's clock goes forward; nobody waits for it."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + LONG.seconds  # type: ignore[method-assign]


def time_flies() -> None:
    """The running loop's clock goes forward each time that anybody looks at it, from now on."""
    loop = asyncio.get_running_loop()
    before, passed = loop.time, itertools.count(LONG.seconds, LONG.seconds)
    loop.time = lambda: before() + next(passed)  # type: ignore[method-assign]


def test_the_structured_form_is_one_json_answer(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [structured(BOTH)]

    reply = open_claude().ask(QUESTION.model_copy(update={"form": "structured"}))

    assert (reply.outcome, reply.writes) == (Outcome.COMPLETE, (FIRST, SECOND))
    assert server.calls[0]["output_config"]["format"]["type"] == "json_schema"
    assert "tools" not in server.calls[0]


@pytest.mark.parametrize(
    "text", ['{"writes": 1}', "[]", "{", '{"writes": [{"kind": "x", "name": "one", "text": ""}]}']
)
def test_a_structured_answer_of_another_shape_is_prose(
    server: MessagesServer, open_claude: OpenClaude, text: str
) -> None:
    server.script = [prose(text)]

    reply = open_claude().ask(QUESTION.model_copy(update={"form": "structured"}))

    assert (reply.outcome, reply.writes) == (Outcome.PROSE, ())


def test_a_truncated_structured_answer_has_nothing_whole(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [Says(structured(BOTH).blocks, stop_reason="max_tokens")]

    reply = open_claude().ask(QUESTION.model_copy(update={"form": "structured"}))

    assert (reply.outcome, reply.writes) == (Outcome.TRUNCATED, ())


def test_a_model_without_the_structured_form_is_asked_with_tools(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [invalid("output_config.format: not supported"), writes(BOTH)]

    reply = open_claude().ask(QUESTION.model_copy(update={"form": "structured"}))

    assert len(reply.writes) == 2


def test_the_prefix_is_read_from_the_cache_by_the_second_attempt(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.otherwise = writes(BOTH)
    claude = open_claude()
    first = claude.ask(QUESTION)

    second = claude.ask(QUESTION.model_copy(update={"task": "better", "attempt": 2}))

    assert first.usage.cache_write_tokens == second.usage.cache_read_tokens > 0
    assert second.dollars is not None
    assert first.dollars is not None
    assert second.dollars < first.dollars


def test_what_was_spent_is_kept_for_the_build_and_the_day(
    server: MessagesServer, open_claude: OpenClaude, spending: Spending, settings: Settings
) -> None:
    server.otherwise = writes(BOTH)
    claude = open_claude()

    replies = [claude.ask(QUESTION.model_copy(update={"attempt": number})) for number in (1, 2)]

    cost = spending.cost()
    assert cost.dollars == pytest.approx(sum(reply.dollars or 0 for reply in replies))
    assert [(n, one.calls) for n, one in cost.attempts.items()] == [(1, 1), (2, 1)]
    assert today(settings.spending).total.dollars == cost.dollars
    assert {call.outcome for call in cost.calls} == {"complete"}


def test_calls_that_were_refused_cost_nothing(
    server: MessagesServer, open_claude: OpenClaude, spending: Spending
) -> None:
    server.script = [overloaded(), prose()]

    reply = open_claude().ask(QUESTION)

    first, second = spending.cost().calls
    assert (first.outcome, first.dollars, second.dollars) == ("busy", 0, reply.dollars)


def test_an_answer_that_broke_off_is_billed_at_an_estimate(
    server: MessagesServer, open_claude: OpenClaude, spending: Spending
) -> None:
    server.script = [writes(BOTH, breaks="connection")]

    reply = open_claude().ask(QUESTION)

    assert reply.usage.output_tokens > 1
    assert spending.cost().calls[0].outcome == "cut"


def test_a_call_that_was_sent_and_never_answered_is_billed_at_its_prompt(
    server: MessagesServer, settings: Settings
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    class Watched(Spending):
        """Tells in which loop the calls are made."""

        def reserve(self, model: str, attempt: int, input_tokens: int, most_output: int) -> Call:
            loops.append(asyncio.get_running_loop())
            return super().reserve(model, attempt, input_tokens, most_output)

    def never_answer(_: Json) -> Says:
        loops[0].call_soon_threadsafe(time_flies)
        server.stopping.wait()
        return prose()

    spending, endpoint = Watched(settings, BUILD), Endpoint(server.url, server.key)
    server.otherwise = never_answer

    with pytest.raises(ModelUnavailable, match="timed out"):
        Claude(endpoint, (NEW,), spending, Patience(seconds=1e12, retries=0)).ask(QUESTION)

    assert spending.cost().calls[0].usage.input_tokens > 1000


def test_a_model_without_a_price_has_no_cost(
    server: MessagesServer, open_claude: OpenClaude, spending: Spending
) -> None:
    server.models["claude-unpriced"] = Known()
    server.script = [writes(BOTH)]

    reply = open_claude("claude-unpriced").ask(QUESTION)

    assert reply.dollars is None
    assert spending.cost().dollars is None
    assert spending.cost().counted_dollars > 0


def test_a_call_that_could_cost_too_much_is_not_made(
    server: MessagesServer, settings: Settings
) -> None:
    poor = settings.model_copy(update={"claude_build_dollars": 0.1})
    claude = open_configured(
        poor.model_copy(
            update={
                "anthropic_base_url": server.url,
                "anthropic_api_key": Settings(anthropic_api_key=server.key).anthropic_api_key,
                "claude_model": NEW,
            }
        ),
        BUILD,
    )

    with pytest.raises(CostCeilingReached, match=r"could cost \$0\.33.*CLAUDE_BUILD_DOLLARS"):
        claude.ask(QUESTION)

    assert server.calls == []


def test_a_ceiling_reached_on_the_way_keeps_what_was_written(
    server: MessagesServer, settings: Settings
) -> None:
    poor = Spending(settings.model_copy(update={"claude_build_dollars": 0.34}), BUILD)
    server.script = [Says(writes({"one": ONE}).blocks, output_tokens=9000)]

    reply = Claude(Endpoint(server.url, server.key), (NEW,), poor, QUICK).ask(QUESTION)

    assert (reply.outcome, reply.writes) == (Outcome.CUT, (FIRST,))
    assert "CLAUDE_BUILD_DOLLARS" in reply.detail


def test_without_a_key_there_is_no_claude(settings: Settings) -> None:
    with pytest.raises(InvalidSettings, match="ANTHROPIC_API_KEY"):
        open_configured(settings, BUILD)


def test_the_key_is_in_no_log(
    server: MessagesServer, open_claude: OpenClaude, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script = [overloaded(), writes(BOTH)]

    open_claude().ask(QUESTION)

    assert server.key not in caplog.text


def test_blocks_that_are_unknown_here_change_nothing(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [
        Says((Raw({"type": "something_new", "id": "x"}), *writes({"one": ONE}).blocks)),
        writes({"two": TWO}),
    ]

    reply = open_claude().ask(QUESTION)

    assert reply.writes == (FIRST, SECOND)
    assert server.calls[1]["messages"][1]["content"][0] == {"type": "something_new", "id": "x"}


def test_a_tools_input_that_is_no_object_is_no_write(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [Says((ToolCall("write_function", ["one"]), *writes(BOTH).blocks))]  # type: ignore[arg-type]

    assert open_claude().ask(QUESTION).writes == (FIRST, SECOND)


def test_an_answer_that_pauses_for_ever_is_given_up(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.otherwise = Says((Text("Wait."),), stop_reason="pause_turn")

    reply = open_claude(patience=Patience(turns=3)).ask(QUESTION)

    assert (reply.outcome, reply.detail) == (Outcome.CUT, "stopped for `pause_turn`")
    assert len(server.calls) == 3
