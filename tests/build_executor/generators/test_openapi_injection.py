"""Whatever an OpenAPI document's words are, they stay words, also in files that are not Python."""

import ast
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from build_executor.errors import SpecRefused
from build_executor.generators import GENERATORS, Attempt
from build_executor.spec.derivation import derive_contract

HOSTILE = [
    '"""\nimport os\nos.system("id")\n"""',
    "__import__('os').system('id')",
    "{{ 7 * 7 }}{% for x in y %}{# #}",
    "a\\",
    "\nRUN id\n",
    "]; eval('1')  #",
    "\u202e\x00\u2028",
    "a: Any = open('/etc/passwd')",
    "class",
    "Literal",
]
words = st.sampled_from(HOSTILE) | st.text(max_size=20)


def document(name: str, text: str) -> str:
    fields = {
        "id": {"type": "string", "description": text},
        name: {"type": "string", "enum": [text, name], "default": text},
        f"{name}2": {"type": "string", "pattern": text, "format": name, "example": text},
        f"{name}3": {"type": "object", "additionalProperties": {"const": text}},
    }
    component = {"type": "object", "description": text, "properties": fields, "required": [name]}
    body = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}
    query = {"name": name, "in": "query", "description": text, "schema": {"default": text}}
    post = {"operationId": text, "summary": text, "requestBody": body, "responses": {"201": body}}
    get = {"operationId": name, "parameters": [query], "responses": {"200": body}}
    paths = {"/things": {"post": post}, "/things/{id}": {"get": get}, f"/{text}": {"get": get}}
    info = {"title": f"things {text}", "version": text, "description": text}
    schemas = {name: component}
    return json.dumps(
        {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas}}
    )


def files_of(text: str) -> dict[str, str]:
    contract = derive_contract(text)
    compiler = GENERATORS["compiler"]
    code = dict(compiler.generate_code(contract, Attempt()))
    return code | dict(compiler.generate_tests(contract, Attempt()))


def used_names(text: str) -> set[str]:
    """The names that a module calls or imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.add(node.func.id)
    return found


FORBIDDEN = {"eval", "exec", "open", "compile", "__import__", "system", "subprocess", "print"}
PLAIN = files_of(document("label", "plain"))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(words, words)
def test_a_documents_words_never_become_code(name: str, text: str) -> None:
    try:
        files = files_of(document(name, text))
    except SpecRefused:
        return

    for path, content in files.items():
        assert content.encode("utf-8").decode("utf-8") == content
        if path.endswith(".py"):
            plain = used_names(PLAIN.get(path, ""))
            assert not (used_names(content) - plain) & FORBIDDEN


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(words)
def test_the_instructions_of_the_image_are_always_the_same(text: str) -> None:
    try:
        files = files_of(document("label", text))
    except SpecRefused:
        return

    def instructions(content: str) -> list[str]:
        return [line.split(" ", 1)[0] for line in content.split("\n")]

    assert instructions(files["Dockerfile"]) == instructions(PLAIN["Dockerfile"])
