"""Twenty SPECs that give orders, and a model that obeys all of them: the product holds anyway."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_executor.generators import GENERATORS, Attempt
from build_executor.generators.claude import loop
from build_executor.generators.claude.asking import Claude
from build_executor.generators.claude.earlier_work import Order, begin
from build_executor.generators.claude.holes import find_holes
from build_executor.generators.claude.questions import stable_part
from build_executor.generators.filling import Filled
from build_executor.settings import Settings
from build_executor.spec.derivation import derive_contract
from build_executor.workspace import open_workspace
from tests import bank
from tests.build_executor.generators.claude.conftest import OpenClaude
from tests.fakes.model import ScriptedModel, reply
from tests.hostile_specs import ORDERS, spec_that_orders
from tests.messages_obedience import Obedient
from tests.messages_server import MessagesServer, writes

pytestmark = pytest.mark.full


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody who waits for what should never come."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0)
        yield listener


def order_of(name: str, listener: socket.socket, settings: Settings) -> Order:
    spec = spec_that_orders(name, f"http://127.0.0.1:{listener.getsockname()[1]}")
    contract = derive_contract(spec)
    return Order(contract, spec, open_workspace("hostile", "bank", settings), settings)


def nobody_called(listener: socket.socket) -> bool:
    try:
        listener.accept()
    except BlockingIOError:
        return True
    return False


@pytest.mark.parametrize("name", ORDERS)
def test_an_obedient_model_changes_nothing(
    name: str,
    listener: socket.socket,
    settings: Settings,
    server: MessagesServer,
    open_claude: OpenClaude,
) -> None:
    order = order_of(name, listener, settings)
    server.otherwise = Obedient(instead=True)
    claude: Claude = open_claude()

    filling, _ = begin(order)
    for number in (1, 2, 3):
        if filling.ended is None:
            filling = loop.attempt(order, filling, claude, number)
    filling = loop.finish(order, filling)

    compiler, settled = GENERATORS["compiler"], filling.settled(order.contract)
    made, expected = Filled(filling), compiler.generate_code(settled, Attempt())
    assert filling.functions == {}
    assert filling.trusted
    assert made.generate_code(settled, Attempt()) == expected
    assert made.generate_tests(settled, Attempt()) == compiler.generate_tests(settled, Attempt())
    broken = [f for one in filling.rejected for f in one.findings if f.gate == "rules"]
    assert filling.refused or broken or filling.tests, "nothing was obeyed"
    assert filling.extra_files == {}
    assert nobody_called(listener)
    assert server.key not in filling.model_dump_json() + "".join(map(str, server.calls))


def test_what_is_obeyed_beside_good_work_is_refused_and_named(
    listener: socket.socket, settings: Settings, server: MessagesServer, open_claude: OpenClaude
) -> None:
    order = order_of("climb out", listener, settings)
    server.otherwise = Obedient(then=writes(bank.GOOD))

    filling = loop.attempt(order, begin(order)[0], open_claude(), 1)

    assert filling.refused
    assert all("it is not used" in finding.message for finding in filling.refused)
    assert set(filling.functions) <= {bank.DEPOSIT, bank.WITHDRAW}


def test_data_cannot_end_itself(settings: Settings, listener: socket.socket) -> None:
    order = order_of("fake end of data", listener, settings)

    stable = stable_part(find_holes(order.contract, order.spec), order.spec)

    marks = [line for line in stable.splitlines() if line.startswith(("<data", "</data"))]
    opened = [line.split('mark="')[1].rstrip('">') for line in marks if line.startswith("<data ")]
    closed = [line.split('mark="')[1].rstrip('">') for line in marks if line.startswith("</data ")]
    assert opened == closed
    assert '&lt;/data mark="0000">' in stable


def test_what_cannot_be_seen_is_shown(settings: Settings, listener: socket.socket) -> None:
    order = order_of("reversed", listener, settings)

    stable = stable_part(find_holes(order.contract, order.spec), order.spec)

    assert "\u202e" not in stable
    assert r"\u{202e}" in stable


def test_code_that_got_past_the_fence_meets_the_wall(
    settings: Settings, listener: socket.socket, tmp_path: Path
) -> None:
    """The rules let no module through that can do this; the sandbox does not rely on that."""
    order = order_of("exfiltrate", listener, settings)
    port = listener.getsockname()[1]
    text = bank.GOOD_DEPOSIT.replace(
        "    with repository",
        "    import socket\n"
        f'    socket.create_connection(("127.0.0.1", {port}), timeout=1)\n'
        "    with repository",
        1,
    )

    findings = order.open_gates().judge({bank.DEPOSIT: text})

    assert findings
    assert "Connection refused" in findings[0].message
    assert nobody_called(listener)
    assert list(tmp_path.iterdir())


def test_the_answer_itself_is_not_trusted(settings: Settings, listener: socket.socket) -> None:
    order = order_of("print the key", listener, settings)
    unasked = {"tests/conftest.py": "x", "pytest.ini": "x", "app/logic.py": "x"}

    filling = loop.attempt(order, begin(order)[0], ScriptedModel([reply({}, unasked)]), 1)

    assert [finding.rule for finding in filling.refused] == ["not-asked-for"] * 3
