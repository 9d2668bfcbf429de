"""Whatever a SPEC's words are, they stay words and never become statements."""

import ast
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from build_executor.errors import SpecRefused
from build_executor.generators import GENERATORS, Attempt
from build_executor.spec.derivation import derive_contract

HOSTILE = [
    '"""\nimport os\nos.system("id")\n"""',
    "'''; __import__('os').system('id') #",
    "{{ 7 * 7 }} {% include '/etc/passwd' %} {# x #}",
    "\\\" + __import__('os') + \\\"",
    "a\u202eb\u2066c\u200bd",
    "\r\nimport os\r\n",
    "x = 1; import os",
    "$(id) `id` ${HOME}",
    "</script><script>alert(1)</script>",
    "todo: print('x') except: requests.get('y')",
]
words = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60))


def spec(name: str, text: str) -> str:
    request = json.dumps({name: text, "amount": 3})
    response = json.dumps({"thing_id": text, name: text, "status": text})
    return f"""# things - SPEC

**Service Name:** things
**Version:** {text}

## Purpose

{text}

## Capabilities

- **{text}:** {text}

### GET /health
```json
{response}
```

### POST /things
{text}
```json
// Request
{request}
// Response
{response}
```

### GET /things/{{thing_id}}
**Purpose:** {text}

### GET /things?{name}={text}

### POST /things/{{thing_id}}/archive
{text}
"""


def imports_of(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found


def trees(text: str) -> dict[str, ast.Module]:
    contract = derive_contract(text)
    compiler = GENERATORS["compiler"]
    code: dict[str, Any] = dict(compiler.generate_code(contract, Attempt()))
    code |= compiler.generate_tests(contract, Attempt())
    return {name: ast.parse(body) for name, body in code.items() if name.endswith(".py")}


USUAL = {name: imports_of(tree) for name, tree in trees(spec("label", "plain")).items()}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=words, text=words)
def test_a_specs_words_never_become_code(name: str, text: str) -> None:
    try:
        found = trees(spec(name, text))
    except SpecRefused:
        return

    for path, tree in found.items():
        assert imports_of(tree) <= USUAL.get(path, set()) | {"app", "tests"}
        calls = {
            n.func.id
            for n in ast.walk(tree)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert calls.isdisjoint({"eval", "exec", "__import__", "print", "open"})


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_are_still_a_service(text: str) -> None:
    assert "app/logic.py" in trees(spec("label", text))
