import threading
from collections.abc import Iterator

import pytest
from websockets.sync.server import ServerConnection, serve

from build_executor.checks.contract import live_checks, staged_checks
from build_executor.models import Check
from build_executor.spec.contract import Contract, Effect, Operation, Parameter, Reference, Resource
from tests.fakes.http_server import Fault
from tests.fakes.payments import RELEASE, FakePayments, payments_contract


@pytest.fixture
def service() -> Iterator[FakePayments]:
    with FakePayments() as service:
        yield service


@pytest.fixture(scope="module")
def contract() -> Contract:
    return payments_contract()


def failed(checks: tuple[Check, ...]) -> dict[str, str]:
    return {check.name: check.detail for check in checks if not check.passed}


def stage(service: FakePayments, contract: Contract, *lies: str) -> dict[str, str]:
    service.lies = frozenset(lies)
    return failed(staged_checks(service.url, contract, RELEASE))


def extended(contract: Contract, operation: Operation) -> Contract:
    return contract.model_copy(update={"operations": (*contract.operations, operation)})


def test_a_service_that_honours_its_contract_passes_everything(
    service: FakePayments, contract: Contract
) -> None:
    checks = staged_checks(service.url, contract, RELEASE)

    assert failed(checks) == {}
    assert {
        "GET /health",
        "POST /message",
        "POST /payments",
        "GET /payments grows by what POST /payments makes",
        "GET /payments/{payment_id} returns what was created",
        "POST /payments/{payment_id}/refund",
        "GET /payments/{payment_id} after DELETE /payments/{payment_id}",
        "GET /payments/{payment_id} with an unknown id",
        "POST /payments with a bad body",
    } <= {check.name for check in checks}


def test_what_replacing_makes_is_not_expected_to_be_unknown(
    service: FakePayments, contract: Contract
) -> None:
    setting = Operation(
        method="PUT",
        path="/settings/{key}",
        spec_line=1,
        name="set_setting",
        rule="replace",
        resource="settings",
        effect=Effect(id_parameter="key"),
        parameters=(Parameter(name="key", location="path", required=True),),
    )

    checks = staged_checks(service.url, extended(contract, setting), RELEASE)

    assert "PUT /settings/{key} with an unknown id" not in {check.name for check in checks}


@pytest.mark.parametrize(
    ("lie", "check", "detail"),
    [
        ("no state", "GET /state", "answered 404, not 200"),
        ("another release", "GET /health", f"'{RELEASE}' was expected"),
        ("accepts anything", "POST /message refuses half a message", "answered 200, not 422"),
        ("accepts anything", "POST /payments with a bad body", "answered 201, not 422"),
        ("breaks", "POST /payments", "answered 500, not 201"),
        ("forgets", "GET /payments grows by what POST /payments makes", "had 0 entries, then 0"),
        ("forgets", "GET /payments/{payment_id} finds what POST /payments made", "answered 404"),
        ("hides", "GET /payments grows by what POST /payments makes", "had 0 entries, then 0"),
        ("rounds", "GET /payments/{payment_id} returns what was created", "amount was 12.5 and"),
        ("omits", "GET /payments/{payment_id}", "lacks the documented currency"),
        ("mistypes", "GET /payments/{payment_id}", "'yesterday' is not a 'date-time'"),
        ("says nothing", "POST /payments", "lacks the documented amount"),
        ("keeps", "GET /payments/{payment_id} after DELETE /payments/{payment_id}", "200"),
        ("knows everybody", "GET /payments/{payment_id} with an unknown id", "200, not 404"),
    ],
)
def test_every_lie_is_found_out(
    service: FakePayments, contract: Contract, lie: str, check: str, detail: str
) -> None:
    found = stage(service, contract, lie)

    assert detail in found[check]


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.GARBAGE, Fault.HUGE])
def test_a_hostile_service_fails_every_check_and_stops_nothing(
    service: FakePayments, contract: Contract, fault: Fault
) -> None:
    service.always = fault

    checks = staged_checks(service.url, contract, RELEASE)

    assert checks
    assert set(failed(checks)) >= {"GET /health", "POST /message", "POST /payments"}
    assert not any(check.passed for check in checks if check.duration_ms)


def test_live_checks_change_nothing(service: FakePayments, contract: Contract) -> None:
    checks = live_checks(service.url, contract, RELEASE)

    assert failed(checks) == {}
    assert service.payments == {}
    assert {"GET /payments", "GET /health", "POST /payments with a bad body"} <= {
        check.name for check in checks
    }


@pytest.mark.parametrize("lie", ["another release", "no health", "accepts anything"])
def test_live_checks_notice_the_wrong_service(
    service: FakePayments, contract: Contract, lie: str
) -> None:
    service.lies = frozenset({lie})

    assert failed(live_checks(service.url, contract, RELEASE))


def test_a_declared_stub_may_say_501(service: FakePayments, contract: Contract) -> None:
    stub = Operation(method="POST", path="/settle", rule="stub", spec_line=40, name="settle")

    checks = staged_checks(service.url, extended(contract, stub), RELEASE)

    name = "POST /settle (declared as not implemented, SPEC line 40)"
    assert next(check for check in checks if check.name == name).passed
    assert failed(live_checks(service.url, extended(contract, stub), RELEASE)) == {}


ORDER = Operation(
    method="GET",
    path="/orders/{order_id}",
    rule="read",
    resource="orders",
    spec_line=41,
    name="read_order",
    parameters=(Parameter(name="order_id", location="path", shape={"type": "integer"}),),
    effect=Effect(id_parameter="order_id"),
)


def test_what_needs_a_record_that_nothing_makes_is_told(
    service: FakePayments, contract: Contract
) -> None:
    checks = staged_checks(service.url, extended(contract, ORDER), RELEASE)

    told = next(check for check in checks if check.name == ORDER.label)
    assert (told.passed, told.detail) == (True, "not asked: it needs a record, none is made")


@pytest.mark.parametrize(("id_type", "status_field"), [("integer", None), ("string", "status")])
def test_a_record_that_only_others_make_comes_in_as_a_message(
    service: FakePayments, contract: Contract, id_type: str, status_field: str | None
) -> None:
    orders = Resource.model_validate(
        {
            "name": "orders",
            "singular": "order",
            "id_field": "order_id",
            "id_type": id_type,
            "status_field": status_field,
            "initial_status": "new",
            "shape": {"properties": {"currency": {"type": "string"}}},
            "creatable": False,
            "line": 41,
        }
    )
    both = extended(contract, ORDER).model_copy(update={"resources": (*contract.resources, orders)})

    checks = staged_checks(service.url, both, RELEASE)

    names = [check.name for check in checks if check.passed]
    assert "POST /message keeps orders (for GET /orders/{order_id})" in names
    assert ORDER.label in names
    kept = [payment for payment in service.payments.values() if "order_id" in payment]
    assert [payment.get("status") for payment in kept] == ["new" if status_field else None]


def note_operation(method: str, path: str, rule: str) -> Operation:
    names = [name for name in ("payment_id", "note_id") if f"{{{name}}}" in path]
    return Operation(
        method=method,
        path=path,
        rule=rule,
        resource="notes",
        spec_line=42,
        name=f"{rule}_note",
        success_status=201 if rule == "create" else 200,
        parameters=tuple(Parameter(name=name, location="path") for name in names),
        effect=Effect(
            id_parameter="note_id" if "note_id" in names else None,
            parents=(Reference(field="payment_id", resource="payments"),),
        ),
    )


def test_a_record_below_another_gets_a_real_parent_and_keeps_it(
    service: FakePayments, contract: Contract
) -> None:
    notes = Resource(name="notes", singular="note", id_field="note_id", line=42)
    create = note_operation("POST", "/payments/{payment_id}/notes", "create")
    read = note_operation("GET", "/payments/{payment_id}/notes/{note_id}", "read")
    both = extended(extended(contract, create), read)

    assert stage(service, both.model_copy(update={"resources": (*contract.resources, notes)})) == {}

    made = [path.removesuffix("/notes") for path in service.calls() if path.endswith("/notes")]
    assert f"{made[0].replace('POST', 'GET')}/notes/n1" in service.calls()


def test_a_body_that_names_another_record_names_a_real_one(
    service: FakePayments, contract: Contract
) -> None:
    settle = Operation(
        method="POST",
        path="/message",
        rule="counters",
        spec_line=43,
        name="settle",
        request={"type": "object", "required": ["trace_id"]},
        request_example={"trace_id": "nobody"},
        effect=Effect(
            references=(
                Reference(field="trace_id", resource="payments"),
                Reference(field="not_sent", resource="payments"),
            )
        ),
    )

    staged_checks(service.url, extended(contract, settle), RELEASE)

    sent = [r.body["trace_id"] for r in service.requests if "trace_id" in (r.body or {})]
    assert any(str(trace).startswith("pay-") for trace in sent)


def test_records_that_need_each_other_do_not_go_on_for_ever(
    service: FakePayments, contract: Contract
) -> None:
    """Payments need an order, orders need a payment; and a payment may name another."""
    needs_order = Effect(
        references=(
            Reference(field="currency", resource="orders"),
            Reference(field="customer_email", resource="payments"),
        )
    )
    orders = Operation(
        method="POST",
        path="/payments",
        rule="create",
        resource="orders",
        spec_line=45,
        name="create_order",
        success_status=201,
        request={"type": "object"},
        request_example={"amount": 1},
        effect=Effect(references=(Reference(field="amount", resource="payments"),)),
    )
    tangled = extended(changed(contract, "POST /payments", effect=needs_order), orders)

    staged_checks(service.url, tangled, RELEASE)

    assert service.payments
    assert not any(payment["customer_email"] for payment in service.payments.values())


def changed(contract: Contract, label: str, **changes: object) -> Contract:
    operations = [
        o.model_copy(update=changes) if o.label == label else o for o in contract.operations
    ]
    return contract.model_copy(update={"operations": tuple(operations)})


def without(contract: Contract, *labels: str) -> Contract:
    kept = tuple(o for o in contract.operations if o.label not in labels)
    return contract.model_copy(update={"operations": kept})


def test_what_cannot_be_read_back_is_only_created(
    service: FakePayments, contract: Contract
) -> None:
    bare = without(contract, "GET /payments", "GET /payments/{payment_id}")

    assert stage(service, bare) == {}


def test_a_creation_without_an_id_is_not_followed(
    service: FakePayments, contract: Contract
) -> None:
    silent = changed(contract, "POST /payments", response=None)
    service.lies = frozenset({"says nothing"})

    checks = staged_checks(service.url, silent, RELEASE)

    assert any(c.detail == "its answer carries no id to follow" for c in checks)


def test_a_soft_deleted_record_may_still_be_read(service: FakePayments, contract: Contract) -> None:
    payments = contract.resources[0].model_copy(update={"soft_delete": "cancelled"})
    soft = contract.model_copy(update={"resources": (payments,)})

    assert stage(service, soft, "keeps") == {}


def test_a_transition_from_another_state_may_conflict(
    service: FakePayments, contract: Contract
) -> None:
    refund = "POST /payments/{payment_id}/refund"
    strict = changed(
        contract, refund, effect=Effect(id_parameter="payment_id", allowed_from=("x",))
    )

    assert stage(service, strict) == {}
    assert refund not in stage(service, strict, "conflicts")
    assert "answered 409" in stage(service, contract, "conflicts")[refund]


def test_an_answer_that_is_no_json_has_only_its_status_checked(
    service: FakePayments, contract: Contract
) -> None:
    page = changed(contract, "GET /payments/{payment_id}", media_type="text/html")

    assert "GET /payments/{payment_id}" not in stage(service, page, "omits")


@pytest.fixture
def stream() -> Iterator[str]:
    """The http address of a server that accepts WebSockets."""

    def accept(connection: ServerConnection) -> None:
        connection.close()

    with serve(accept, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


EVENTS = Operation(method="WS", path="/events", rule="stream", spec_line=44, name="events")


def test_a_stream_has_to_accept_a_connection(stream: str) -> None:
    contract = Contract(service="shop", operations=(EVENTS,))

    checks = staged_checks(stream, contract, RELEASE)

    assert "WS /events" not in failed(checks)


def test_a_stream_that_refuses_has_failed(service: FakePayments, contract: Contract) -> None:
    found = stage(service, extended(contract, EVENTS))

    assert "does not accept a connection" in found["WS /events"]
