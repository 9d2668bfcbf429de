"""What is sent, held against the types of the provider's own client."""

from collections.abc import Iterable
from typing import Literal

import anthropic
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from pydantic import TypeAdapter

from build_executor.generators.model import Question
from tests.build_executor.generators.claude.conftest import OpenClaude
from tests.messages_server import MessagesServer, Says, Text, Thinking, structured, writes

ONE, TWO = "def one() -> int:\n    return 1\n", "def two() -> int:\n    return 2\n"
QUESTION = Question(stable="rules", task="write", functions=frozenset({"one", "two"}))
FORMS: tuple[Literal["tools", "structured"], ...] = ("tools", "structured")


def test_our_schemas_are_those_that_the_providers_client_would_send(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    server.script = [writes({"one": ONE, "two": TWO}), structured({"one": ONE, "two": TWO})]

    for form in FORMS:
        open_claude().ask(QUESTION.model_copy(update={"form": form}))

    with_tools, with_structure = server.calls
    schemas = [tool["input_schema"] for tool in with_tools["tools"]]
    schemas.append(with_structure["output_config"]["format"]["schema"])
    assert [anthropic.transform_schema(schema) for schema in schemas] == schemas


def test_every_request_is_of_the_types_that_the_providers_client_knows(
    server: MessagesServer, open_claude: OpenClaude
) -> None:
    known = TypeAdapter[object](MessageCreateParamsStreaming)
    server.script = [
        Says((Thinking("hm"), Text("So."), *writes({"one": ONE}).blocks)),
        writes({"two": TWO}),
        structured({"one": ONE, "two": TWO}),
    ]

    for form in FORMS:
        open_claude().ask(QUESTION.model_copy(update={"form": form}))

    assert len(server.calls) == 3
    for body in server.calls:
        assert _seen_through(known.validate_python(body)) == body


def _seen_through(value: object) -> object:
    """The value with all that is checked only once it is looked at."""
    if isinstance(value, dict):
        return {key: _seen_through(inner) for key, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_seen_through(inner) for inner in value]
    return value
