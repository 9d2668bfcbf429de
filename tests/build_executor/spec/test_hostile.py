"""No document makes the compiler fail: it is a contract or a refusal, and soon."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from build_executor.errors import SpecRefused
from build_executor.spec.contract import Contract
from build_executor.spec.derivation import derive_contract
from build_executor.spec.json_reader import plain, read_examples
from build_executor.spec.refusals import MOST_ENDPOINTS

PIECES = [
    "# Desk\n",
    "Port: 8000\n",
    "## Endpoints\n",
    "### POST /things\n",
    "### GET /things/{thing_id}\n",
    "**PATCH /things/{id}** - change\n",
    "- Input: name (string, required), size\n",
    "- Output: thing_id, status\n",
    "- Errors: 409 if it is already open\n",
    "```json\n",
    "```python\n",
    "```\n",
    '{"thing_id": "t-1", "status": "open", "items": [{"a": 1}, ...]}\n',
    "class Thing(BaseModel):\n    status: str  # open, closed\n",
    "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT UNIQUE);\n",
    '@app.get("/things")\nasync def things(limit: int = 3):\n',
    "| GET | /rows | text |\n|---|---|---|\n",
    "### WS /live\n",
    "Auth: token\n",
    "\u202e\x00\ud800",
    "{" * 50,
    "### POST /auth/login\n",
    '{"username": "a", "password": "b"}\n',
]
documents = st.lists(st.sampled_from(PIECES) | st.text(max_size=12), max_size=14).map("".join)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
SCHEMA_WORDS = [
    *("type", "properties", "items", "allOf", "anyOf", "oneOf", "enum", "format", "nullable"),
    *("required", "default", "const", "$ref", "additionalProperties", "minimum", "pattern"),
    "exclusiveMinimum",
]
schema_values = st.recursive(
    st.sampled_from(["object", "array", "string", "date", "#/components/schemas/S", True, None, 3]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*SCHEMA_WORDS, "name"]), inner, max_size=4)
    ),
    max_leaves=10,
)
quietly = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def outcome(text: str) -> Contract | str:
    try:
        return derive_contract(text)
    except SpecRefused as refusal:
        return refusal.reason


def openapi(**parts: object) -> str:
    return json.dumps({"openapi": "3.1.0", "info": {"title": "Desk", "version": "1"}, **parts})


@quietly
@given(documents)
def test_any_markdown_is_a_contract_or_a_refusal(text: str) -> None:
    assert outcome(text)


@quietly
@given(schema_values, schema_values)
def test_any_schema_is_a_contract_or_a_refusal(sent: object, answered: object) -> None:
    post = {
        "requestBody": {"content": {"application/json": {"schema": sent}}},
        "responses": {"201": {"content": {"application/json": {"schema": answered}}}},
    }
    paths = {"/things": {"post": post, "get": post}, "/things/{id}": {"get": post, "put": post}}

    assert outcome(openapi(paths=paths, components={"schemas": {"S": sent}}))


@quietly
@given(json_values)
def test_any_document_that_says_openapi_is_a_contract_or_a_refusal(value: object) -> None:
    for text in (openapi(paths=value), openapi(paths={"/a": {"get": value}}, servers=value)):
        assert outcome(text)


@quietly
@given(st.text(max_size=200))
@example('{"openapi": "3.1.0", "paths": {"/a": {"get": {}}}, "info": []}')
@example("openapi: 3.1.0\npaths: {1: {get: {}}}")
@example("openapi: !!python/object:os.system {}")
def test_any_text_is_a_contract_or_a_refusal(text: str) -> None:
    assert outcome(text)


@quietly
@given(st.dictionaries(st.text(max_size=8), json_values, min_size=1))
def test_json_is_read_as_json(value: dict[str, object]) -> None:
    words = json.dumps(value, ensure_ascii=False).lower()
    plain_words = not any(word in words for word in ("..", "…", "|"))

    (document,) = read_examples(json.dumps(value))

    found = plain(document.value)
    assert isinstance(found, dict)
    assert not plain_words or list(found) == list(value)


EXHAUSTING = {
    "many headings": "# a\n\n### POST /x\n" * 6_000,
    "a long title": "# " + "a" * 200_000,
    "a long line": "# Desk\n\n### POST /x\n" + "a" * 200_000,
    "unclosed objects": "# Desk\n\n### POST /x\n```json\n" + '{"a":' * 40_000,
    "unclosed arrays": "# Desk\n\n### POST /x\n```json\n" + "[" * 200_000 + "\n```\n",
    "quotes in quotes": "# Desk\n\n" + "> " * 100_000,
    "items in items": "# Desk\n\n" + "- " * 100_000,
    "backticks": "# Desk\n\n" + "`" * 200_000,
    "emphasis": "# Desk\n\n" + "*a_ " * 60_000,
    "a wide table": "|a" * 100_000 + "\n" + "|-" * 10,
    "a deep path": "# Desk\n\n### GET /" + "{a}/" * 50_000,
    "python brackets": "# Desk\n\n```python\nx = " + "(" * 100_000 + "\n```\n### POST /x\n",
    "python signs": "# Desk\n\n```python\nclass A:\n    a: "
    + "-" * 100_000
    + "1\n```\n### POST /x\n",
    "yaml maps": 'openapi: "3.1.0"\npaths: ' + "{a: " * 50_000,
    "json arrays": '{"openapi": "3.1.0", "paths": ' + "[" * 200_000,
    "yaml keys": 'openapi: "3.1.0"\nx: ' + "? " * 50_000,
    "direction marks": "\u202e" * 60_000,
    "nothing": "\x00" * 100_000,
}


@pytest.mark.parametrize("name", EXHAUSTING)
@pytest.mark.timeout(60)
def test_a_document_made_to_exhaust_ends(name: str) -> None:
    assert outcome(EXHAUSTING[name])


def test_more_endpoints_than_a_service_has_are_refused() -> None:
    routes = "".join(f"### POST /things{n}\n" for n in range(MOST_ENDPOINTS + 1))

    assert outcome(f"# Desk\n\n{routes}") == "too_large"


def test_a_line_of_prose_that_never_ends_does_not_hide_the_endpoints() -> None:
    contract = outcome("# Desk\n\nPort: 8000\n\n### POST /things\n" + "word " * 10_000)

    assert isinstance(contract, Contract)
    assert [operation.label for operation in contract.business] == ["POST /things"]


@pytest.mark.parametrize("shape", [{"allOf": [{"$ref": "#/components/schemas/S"}]}, {"items": {}}])
def test_a_schema_that_contains_itself_ends(shape: dict[str, object]) -> None:
    for _ in range(8):
        shape = {"type": "object", "properties": {"a": shape}}
    operation = {"responses": {"200": {"content": {"application/json": {"schema": shape}}}}}

    found = outcome(
        openapi(paths={"/a/{id}": {"get": operation}}, components={"schemas": {"S": shape}})
    )

    assert isinstance(found, Contract)
