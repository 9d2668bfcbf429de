"""The stand-in itself, asked through the real client: it refuses what the real one refuses."""

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import anthropic
import pytest
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from tests.messages_rules import Json
from tests.messages_server import (
    MessagesServer,
    Says,
    Text,
    Thinking,
    refusal,
    truncated,
    writes,
)

NEW = "claude-sonnet-5-5"
TOOL: Json = {"name": "t", "input_schema": {"type": "object", "properties": {}}}
CACHED: Json = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}


@pytest.fixture
def server() -> Iterator[MessagesServer]:
    with MessagesServer() as server:
        yield server


@pytest.fixture
def client(server: MessagesServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key=server.key, base_url=server.url, max_retries=0) as client:
        yield client


def ask(client: anthropic.Anthropic, more: Json | None = None) -> anthropic.types.Message:
    """A request as a client without types might make it."""
    asked = {"model": NEW, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    parameters: Any = {**asked, **(more or {}), "stream": False}
    message = client.messages.create(timeout=60, **parameters)
    assert isinstance(message, anthropic.types.Message)
    return message


def test_an_answer_without_a_stream_is_one_message(client: anthropic.Anthropic) -> None:
    message = ask(client)

    assert (message.stop_reason, message.content[0].type) == ("end_turn", "text")


def test_the_client_puts_a_stream_together_as_it_was_meant(
    server: MessagesServer, client: anthropic.Anthropic
) -> None:
    server.script = [Says((Text("Hello, world, in pieces."), *writes({"f": "x = 'ü'"}).blocks))]

    with client.messages.stream(
        model=NEW, max_tokens=100, messages=[{"role": "user", "content": "hi"}]
    ) as stream:
        message = stream.get_final_message()

    text, call = (block.to_dict() for block in message.content)
    assert text["text"] == "Hello, world, in pieces."
    assert call["input"] == {"name": "f", "source": "x = 'ü'"}
    assert (message.stop_reason, message.usage.output_tokens > 1) == ("tool_use", True)


@pytest.mark.parametrize(
    "says",
    [
        Says((Thinking("hm"), Text("So."), *writes({"f": "x"}, {"p": "y"}).blocks)),
        truncated({"f": "x", "g": "y"}),
        refusal(),
        Says((Text("so"),), stop_reason="pause_turn"),
        Says((Text("so"),), stop_reason="model_context_window_exceeded"),
    ],
)
def test_every_event_is_of_the_types_that_the_client_knows(
    server: MessagesServer, client: anthropic.Anthropic, says: Says
) -> None:
    known = TypeAdapter[Any](RawMessageStreamEvent)
    server.script = [says]

    with client.messages.create(
        model=NEW, max_tokens=100, messages=[{"role": "user", "content": "hi"}], stream=True
    ) as stream:
        events = [event.to_dict(warnings=False) for event in stream]

    kinds = [str(known.validate_python(event, strict=True).type) for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop")


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"extra_body": {"temperature": 0}}, "temperature"),
        ({"extra_body": {"unheard_of": 1}}, "Extra inputs"),
        ({"tools": [TOOL], "tool_choice": {"type": "any"}}, "forced tool use"),
        ({"tool_choice": {"type": "auto"}}, "while providing tools"),
        ({"tools": [{**TOOL, "strict": True}]}, "additionalProperties"),
        ({"system": [CACHED] * 5}, "A maximum of 4 blocks with cache_control"),
        ({"max_tokens": 200_000}, "maximum allowed"),
        ({"messages": [{"role": "user", "content": ""}]}, "non-empty"),
        ({"messages": [{"role": "assistant", "content": "{"}]}, "first message"),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "{"}]},
            "prefill",
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            "additionalProperties",
        ),
    ],
)
def test_what_current_models_do_not_take_is_an_invalid_request(
    client: anthropic.Anthropic, more: Json, complaint: str
) -> None:
    with pytest.raises(anthropic.BadRequestError, match=complaint):
        ask(client, more)


def test_calls_of_tools_must_be_answered(client: anthropic.Anthropic) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {}}
    turns = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "text", "text": "and?"}]},
    ]

    with pytest.raises(anthropic.BadRequestError, match="without `tool_result` blocks"):
        ask(client, {"messages": turns})


def test_a_model_that_is_gone_is_not_found(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as failure:
        ask(client, {"model": "claude-gone"})

    assert (failure.value.type, failure.value.api_message) == (
        "not_found_error",
        "model: claude-gone",
    )


def test_a_wrong_key_is_not_accepted(server: MessagesServer) -> None:
    with (
        anthropic.Anthropic(api_key="wrong", base_url=server.url, max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError),
    ):
        ask(client)


def test_models_are_listed_with_their_stage_of_life(client: anthropic.Anthropic) -> None:
    listed = {model.id: model.lifecycle for model in client.models.list()}

    assert listed[NEW] == "active"
    assert client.models.retrieve("claude-sonnet-4-5-20250929").lifecycle == "deprecated"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("claude-gone")


def test_a_short_prefix_is_not_cached(client: anthropic.Anthropic) -> None:
    for _ in range(2):
        usage = ask(client, {"system": [CACHED]}).usage

    assert usage.cache_read_input_tokens == 0


def test_another_byte_in_the_prefix_misses_the_cache(client: anthropic.Anthropic) -> None:
    prefixes = [{**CACHED, "text": "word " * 2000 + end} for end in ("a", "a", "b")]

    usages = [ask(client, {"system": [prefix]}).usage for prefix in prefixes]

    assert [bool(usage.cache_read_input_tokens) for usage in usages] == [False, True, False]


def test_a_count_of_tokens_takes_no_output_limit(client: anthropic.Anthropic) -> None:
    asked: Any = {"model": NEW, "messages": [{"role": "user", "content": "hi"}]}

    assert client.messages.count_tokens(**asked).input_tokens > 1
    with pytest.raises(anthropic.BadRequestError, match="max_tokens: Extra inputs"):
        client.messages.count_tokens(**asked, extra_body={"max_tokens": 5})


@pytest.mark.parametrize("rest", ["\r\n", "content-length: 500\r\n\r\n{"])
def test_a_client_that_goes_before_it_has_asked_is_no_fault(
    server: MessagesServer, client: anthropic.Anthropic, rest: str
) -> None:
    port = urlsplit(server.url).port or 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(f"POST /v1/messages HTTP/1.1\r\n{rest}".encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""

    assert ask(client).stop_reason == "end_turn"
