"""The tests that the compiler writes for operations that somebody else has to write."""

import ast

import pytest

from build_executor.generators import GENERATORS, Attempt
from build_executor.generators.compiler.contract_test_resources import resource_cases
from build_executor.generators.compiler.contract_test_written import WrittenCase, written_cases
from build_executor.spec.contract import Contract
from build_executor.spec.derivation import derive_contract
from build_executor.spec.holes import holes_of, settle
from tests import bank

DESK = """# desk

**Port:** 8123

### POST /sessions
```json
// Request
{"name": "a"}
// Response
{"session_id": "s", "name": "a"}
```

### POST /session/heartbeat
```json
// Request
{"session_id": "s", "task_id": "t", "note": "x"}
// Response
{"session_id": "s", "note": "x"}
```

### GET /weather?city=Rome
The weather
```json
{"celsius": 21.5}
```
"""


def settled(spec: str) -> Contract:
    contract = derive_contract(spec)
    return settle(contract, {hole.name: "by hand" for hole in holes_of(contract)})


def cases_of(spec: str) -> dict[str, WrittenCase]:
    contract = settled(spec)
    return {c.label: c for c in written_cases(contract, list(resource_cases(contract)))}


def test_a_record_is_made_for_the_path() -> None:
    case = cases_of(bank.SPEC.read_text())["POST /accounts/{account_id}/withdraw"]

    assert [made.code for made in case.records] == ["make_account(client, number)"]
    assert case.statuses == (200, 409)
    assert case.repeated == (("account_id", "account_id"),)
    assert case.differs


def test_records_that_a_body_names_are_made_where_they_can_be() -> None:
    case = cases_of(DESK)["POST /session/heartbeat"]

    assert [made.name for made in case.references] == ["session_id"]
    assert 404 in case.statuses  # nothing makes a task
    assert case.differs  # it repeats the note


@pytest.mark.parametrize("spec", [DESK, bank.SPEC.read_text()])
def test_the_tests_are_python_with_a_set_for_each_operation(spec: str) -> None:
    contract = settled(spec)

    text = GENERATORS["compiler"].generate_tests(contract, Attempt())["tests/test_written.py"]

    names = [n.name for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]
    for operation in contract.business:
        if operation.rule == "written":
            assert f"test_{operation.name}__answers_as_specified" in names
            assert f"test_{operation.name}__is_not_broken_by_odd_values" in names


def test_without_anything_written_there_are_no_such_tests() -> None:
    contract = derive_contract(DESK)

    assert "tests/test_written.py" not in GENERATORS["compiler"].generate_tests(contract, Attempt())
