"""A build whose holes a model fills: through the real client, against the stand-in for its API."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import State

from build_executor.artifacts import CONTRACT, COST, GENERATION_REPORT, ArtifactStore
from build_executor.generators.filling import Filling
from build_executor.models import BuildRequest
from build_executor.settings import Settings
from build_executor.spec.contract import Contract
from flows.build_service import build_service
from tests import bank
from tests.messages_server import MessagesServer, writes

pytestmark = pytest.mark.full

NEW = "claude-sonnet-5-5"
LABELS = ("POST /accounts/{account_id}/deposit", "POST /accounts/{account_id}/withdraw")


@pytest.fixture
def server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[MessagesServer]:
    assert settings.anthropic_api_key is None
    with MessagesServer() as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", server.key)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("CLAUDE_MODEL", NEW)
        monkeypatch.setenv("CLAUDE_FALLBACK_MODELS", "")
        yield server


@pytest.fixture
def bank_spec(tmp_path: Path, spec_port: int) -> str:
    path = tmp_path / "bank.md"
    path.write_text(bank.SPEC.read_text().replace("8720", str(spec_port)))
    return str(path)


def build(spec_path: str) -> State[object]:
    asked = BuildRequest(spec_path=spec_path, deploy_local=False)
    return build_service(asked, return_state=True)  # type: ignore[return-value]


class Kept:
    """What the only build left behind."""

    def __init__(self, settings: Settings) -> None:
        self.store = ArtifactStore(settings.artifacts)
        (self.build_id,) = self.store.build_ids()

    @property
    def filling(self) -> Filling:
        found = self.store.read_value(self.build_id, GENERATION_REPORT, Filling)
        assert found is not None
        return found

    @property
    def stubs(self) -> list[str]:
        contract = self.store.read_value(self.build_id, CONTRACT, Contract)
        assert contract is not None
        return [o.label for o in contract.business if o.rule == "stub"]

    def holds(self, secret: str) -> list[Path]:
        folder = self.store.path(self.build_id, "x").parent
        return [path for path in folder.iterdir() if secret.encode() in path.read_bytes()]


def test_without_a_key_the_holes_answer_501(settings: Settings, bank_spec: str) -> None:
    state = build(bank_spec)

    kept = Kept(settings)
    assert state.is_completed(), state.message
    assert kept.stubs == [*LABELS]
    assert kept.filling.attempts == ()


def test_with_a_model_there_is_no_501_left(
    settings: Settings, server: MessagesServer, bank_spec: str
) -> None:
    server.script = [writes(bank.GOOD, {bank.DEPOSIT_TEST: bank.GOOD_TEST})]

    state = build(bank_spec)

    kept = Kept(settings)
    assert state.is_completed(), state.message
    assert kept.stubs == []
    assert kept.filling.ended == "every hole is filled"
    assert [test.kept for test in kept.filling.tests] == [True]
    assert [one.model for one in kept.filling.written] == [NEW, NEW]
    cost = json.loads(kept.store.path(kept.build_id, COST).read_text())
    assert cost["dollars"] > 0
    assert kept.holds(server.key) == []


def test_a_model_that_needs_three_attempts_gets_them(
    settings: Settings, server: MessagesServer, bank_spec: str
) -> None:
    server.script = [
        writes({bank.DEPOSIT: bank.UNTYPED_DEPOSIT, bank.WITHDRAW: bank.GOOD_WITHDRAW}),
        writes({bank.DEPOSIT: bank.ECHOING_DEPOSIT}),
        writes({bank.DEPOSIT: bank.GOOD_DEPOSIT}),
    ]

    state = build(bank_spec)

    kept = Kept(settings)
    assert state.is_completed(), state.message
    assert kept.stubs == []
    assert [one.accepted for one in kept.filling.attempts] == [
        (bank.WITHDRAW,),
        (),
        (bank.DEPOSIT,),
    ]


def test_at_the_ceiling_the_build_goes_on_without_the_model(
    settings: Settings,
    server: MessagesServer,
    bank_spec: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLAUDE_BUILD_DOLLARS", "0.01")

    state = build(bank_spec)

    kept = Kept(settings)
    assert state.is_completed(), state.message
    assert kept.stubs == [*LABELS]
    assert (kept.filling.ended or "").startswith("the ceiling is reached")
    assert server.calls == []


def test_a_model_that_is_gone_costs_its_functions_and_not_the_build(
    settings: Settings, server: MessagesServer, bank_spec: str
) -> None:
    server.models = {"another-model": next(iter(server.models.values()))}

    state = build(bank_spec)

    kept = Kept(settings)
    assert state.is_completed(), state.message
    assert kept.stubs == [*LABELS]
    assert (kept.filling.ended or "").startswith("no model answers")
    assert kept.filling.trusted


def test_without_a_sandbox_the_build_is_refused_with_the_reason(
    server: MessagesServer, bank_spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUBBLEWRAP", "/nowhere/bwrap")

    state = build(bank_spec)

    assert state.name == "failed_code_generation"
    assert "runs in bubblewrap only" in (state.message or "")
    assert server.calls == []


FRAGILE_DEPOSIT = bank.GOOD_DEPOSIT.replace(
    "        balance =", "        assert account['owner'].startswith('owner')\n        balance =", 1
)


def test_a_function_that_fails_when_it_runs_is_repaired(
    settings: Settings, server: MessagesServer, bank_spec: str
) -> None:
    server.script = [
        writes({**bank.GOOD, bank.DEPOSIT: FRAGILE_DEPOSIT}),
        writes({bank.DEPOSIT: bank.GOOD_DEPOSIT}),
    ]

    state = build(bank_spec)

    kept = Kept(settings)
    assert state.is_completed(), state.message
    assert kept.stubs == []
    assert kept.filling.functions[bank.DEPOSIT].strip() == bank.GOOD_DEPOSIT.strip()


def test_a_function_that_cannot_be_repaired_is_dropped(
    settings: Settings, server: MessagesServer, bank_spec: str
) -> None:
    server.script = [writes({**bank.GOOD, bank.DEPOSIT: FRAGILE_DEPOSIT})]

    state = build(bank_spec)

    kept = Kept(settings)
    assert state.is_completed(), state.message
    assert kept.stubs == [LABELS[0]]
    assert [one.name for one in kept.filling.rejected] == [bank.DEPOSIT]
