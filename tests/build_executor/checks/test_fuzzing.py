import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from build_executor.checks.fuzz_report import Fuzzing
from build_executor.checks.fuzzing import Schemathesis, arguments, document
from build_executor.spec.contract import Auth, Contract, Operation
from tests.fakes.http_server import Answer, FakeServer, Json
from tests.fakes.payments import payments_contract

NOBODY = "http://127.0.0.1:1"
PAYMENTS = payments_contract()


def fuzz(
    folder: Path,
    script: str,
    *,
    url: str = NOBODY,
    contract: Contract = PAYMENTS,
    seconds: int = 7,
) -> Fuzzing:
    """A run of a script in schemathesis's place, in `folder/odd`."""
    program = folder / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Schemathesis(seconds, folder / "notes", program).fuzz(url, contract, folder / "odd")


def test_it_is_given_the_document_and_a_loopback_address(tmp_path: Path) -> None:
    script = "grep -q openapi openapi.json && echo $* > asked && env > seen && touch summary.json"

    fuzzing = fuzz(tmp_path, script)

    asked = (tmp_path / "odd" / "asked").read_text()
    assert f"run openapi.json --url {NOBODY}" in asked
    assert "--max-time 7" in asked
    assert "Authorization" not in asked
    assert (fuzzing.ended, fuzzing.cases) == ("completed", 0)


def test_it_sees_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary")
    monkeypatch.setenv("HTTP_PROXY", NOBODY)

    fuzz(tmp_path, "env > seen")

    seen = (tmp_path / "odd" / "seen").read_text()
    assert "ANTHROPIC_API_KEY" not in seen
    assert "PROXY" not in seen


def test_its_reports_are_read_although_it_says_that_something_failed(tmp_path: Path) -> None:
    sums = {"stop_reason": "max_time", "test_cases": {"generated": 12}, "failures": []}
    script = f"echo '{json.dumps(sums)}' > summary.json; exit 1"

    fuzzing = fuzz(tmp_path, script)

    assert (fuzzing.cases, fuzzing.ended) == (12, "max_time")


def test_why_it_did_not_run_is_told(tmp_path: Path) -> None:
    script = "echo no such option; exit 2"

    fuzzing = fuzz(tmp_path, script)

    assert fuzzing.ended.startswith("did not run")
    assert "no such option" in fuzzing.ended


def test_it_is_killed_when_three_times_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("build_executor.checks.fuzzing._LEAST_LIFE", 0.1)

    assert fuzz(tmp_path, "sleep 60", seconds=0).ended == "killed"


def test_what_an_earlier_run_left_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "summary.json").write_text(
        '{"stop_reason": "max_time", "test_cases": {"generated": 12}}'
    )

    fuzzing = fuzz(tmp_path, "exit 0")

    assert fuzzing.cases == 0


def with_operations(*operations: Operation) -> Contract:
    """A contract whose document has these operations, each on a path of its own."""
    paths: dict[str, Any] = {
        operation.path: {operation.method.lower(): {"operationId": operation.name}}
        for operation in operations
    }
    return Contract(
        service="x", operations=operations, openapi={"openapi": "3.1.0", "paths": paths}
    )


def operation(name: str, rule: str) -> Operation:
    return Operation(method="POST", path=f"/{name}", spec_line=1, name=name, rule=rule)


def test_what_is_declared_as_not_implemented_is_not_asked() -> None:
    contract = with_operations(
        operation("tune", "stub"), operation("leave", "logout"), operation("make", "create")
    )

    kept = document(contract)

    assert isinstance(kept, dict)
    assert kept["paths"] == {"/make": {"post": {"operationId": "make"}}}


def test_a_contract_without_a_document_has_nothing_to_ask() -> None:
    assert document(Contract(service="x")) == {"paths": {}}


def test_references_that_lead_out_of_the_document_are_dropped() -> None:
    references: list[Any] = [{"$ref": "#/components/schemas/A"}, {"$ref": "http://example.com/b"}]
    contract = Contract(service="x", openapi={"paths": {}, "components": {"schemas": references}})

    kept = document(contract)

    assert isinstance(kept, dict)
    assert kept["components"] == {"schemas": [{"$ref": "#/components/schemas/A"}, {}]}


OPTIONAL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "note": {"type": "string"},
        "kind": {"default": "x"},
    },
    "required": ["text"],
}


@pytest.mark.parametrize(
    ("declared", "note"),
    [
        (False, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (True, {"type": "string"}),
    ],
)
def test_null_stands_for_an_absent_field_unless_the_spec_is_exact(
    *, declared: bool, note: JsonValue
) -> None:
    openapi = {"paths": {}, "components": {"schemas": {"Note": OPTIONAL, "All": {"items": {}}}}}
    contract = Contract(service="x", openapi=openapi, declared=declared)

    kept: Any = document(contract)

    members = kept["components"]["schemas"]["Note"]["properties"]
    assert members == {"text": {"type": "string"}, "note": note, "kind": {"default": "x"}}


def test_a_field_called_properties_is_a_field() -> None:
    house: dict[str, Any] = {"type": "object", "properties": {"properties": {"type": "array"}}}
    contract = Contract(service="x", openapi={"paths": {}, "components": {"House": house}})

    kept: Any = document(contract)

    either = {"anyOf": [{"type": "array"}, {"type": "null"}]}
    assert kept["components"]["House"]["properties"] == {"properties": either}


class Accounts(FakeServer):
    """Signs anybody up and in."""

    def respond(self, method: str, path: str, _body: Json) -> Answer:
        return 200, {"token": f"{method} {path}"}


@pytest.fixture
def accounts() -> Iterator[Accounts]:
    with Accounts() as accounts:
        yield accounts


def test_it_asks_with_a_token_where_there_are_accounts(tmp_path: Path, accounts: Accounts) -> None:
    signing = [
        Operation(method="POST", path=f"/{rule}", spec_line=1, name=rule, rule=rule, resource="us")
        for rule in ("create", "login")
    ]
    auth = Auth(resource="us", id_field="id", login_field="name", password_field="password")
    contract = with_operations(*signing).model_copy(update={"auth": auth})

    fuzz(tmp_path, "echo $* > asked", url=accounts.url, contract=contract)

    asked = (tmp_path / "odd" / "asked").read_text()
    assert "--header Authorization: Bearer POST /login" in asked


def test_redirects_are_not_followed() -> None:
    words = arguments(NOBODY, 8, None)

    assert words[words.index("--max-redirects") + 1] == "0"


class FakeCounter(FakeServer):
    """Answers the same whatever it is asked."""

    reply: Answer = (200, {"count": 1})

    def respond(self, _method: str, _path: str, _body: Json) -> Answer:
        return self.reply


def counting_contract() -> Contract:
    shape = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}
    found = {"description": "Done", "content": {"application/json": {"schema": shape}}}
    count: dict[str, Any] = {"operationId": "count", "responses": {"200": found}}
    openapi: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "counter", "version": "1"},
        "paths": {"/count": {"get": count}},
    }
    return Contract(service="counter", openapi=openapi)


@pytest.mark.full
@pytest.mark.parametrize(
    ("reply", "rule"),
    [((500, {"detail": "oops"}), "ST101"), ((200, {"count": "many"}), "ST108")],
)
def test_the_real_one_finds_what_is_wrong(tmp_path: Path, reply: Answer, rule: str) -> None:
    with FakeCounter() as service:
        service.reply = reply
        program = Schemathesis(2, tmp_path / "notes")
        fuzzing = program.fuzz(service.url, counting_contract(), tmp_path / "odd")

    assert rule in [finding.rule.split()[0] for finding in fuzzing.failures]
    assert any(f"{service.url}/count" in finding.message for finding in fuzzing.failures)
