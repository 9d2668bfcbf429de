"""Does a running service honour its contract? Every operation is asked, not only looked up.

`staged_checks` creates records and follows them through all their operations; it is for a copy that
nobody uses. `live_checks` changes nothing and may be asked of the instance that takes traffic.
"""

from collections.abc import Mapping

from pydantic import JsonValue
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from build_executor.checks.accounts import ACCOUNT_RULES, sign_in
from build_executor.checks.examination import Examination, has_status
from build_executor.checks.expectations import Expected, difference, id_parameter, record_in
from build_executor.checks.records import Record, Records, filled
from build_executor.checks.sampling import resolved
from build_executor.checks.udc import check_message, check_udc
from build_executor.http_client import HttpClient
from build_executor.models import Check
from build_executor.spec.contract import Contract, Operation, Resource

_STAGED_SECONDS = 120.0
_LIVE_SECONDS = 20.0
_CONNECT_SECONDS = 5.0
_BAD_BODY: JsonValue = ["not", "an", "object"]
_NOT_FOUND, _NOT_IMPLEMENTED = 404, 501


def staged_checks(url: str, contract: Contract, release_id: str) -> tuple[Check, ...]:
    """All checks there are, in order; never raises for what the service does."""
    with HttpClient(url) as client:
        examination = Examination(client, contract, seconds=_STAGED_SECONDS)
        check_udc(examination, release_id)
        check_message(examination)
        if contract.auth is not None:
            examination.record("signing up and in", sign_in(client, contract))
        walk = _Walk(examination)
        for operation in _beside_accounts(contract):
            walk.use(operation)
            walk.provoke(operation)
        return tuple(examination.checks)


def live_checks(url: str, contract: Contract, release_id: str) -> tuple[Check, ...]:
    """The checks that leave no trace: the UDC, reading, and requests that must be refused."""
    with HttpClient(url) as client:
        examination = Examination(client, contract, seconds=_LIVE_SECONDS)
        check_udc(examination, release_id)
        walk = _Walk(examination)
        for operation in _beside_accounts(contract):
            if operation.secured:
                continue  # asking would need an account, and making one leaves a trace
            walk.look_at(operation)
            walk.provoke(operation)
        return tuple(examination.checks)


def _beside_accounts(contract: Contract) -> list[Operation]:
    """Signing in is checked before all else; signing out would end the checks."""
    return [o for o in contract.business if o.rule not in ACCOUNT_RULES]


class _Walk:
    """Goes from operation to operation, making the records that each of them needs."""

    def __init__(self, examination: Examination) -> None:
        self._examination = examination
        self._contract = examination.contract
        self._records = Records(examination)

    def use(self, operation: Operation) -> None:
        """Do what the operation is for, and look whether it was done."""
        match operation.rule:
            case "stub":
                self._find_stub(operation)
            case "create":
                self._create(operation)
            case _:
                self._use_record(operation)

    def look_at(self, operation: Operation) -> None:
        """Ask what can be asked without a record."""
        needs_record = id_parameter(operation) or operation.effect.parents
        if operation.method != "GET" or operation.rule == "stub" or needs_record:
            return
        self._ask(operation, self._records.unknown_path_values(operation), None)

    def provoke(self, operation: Operation) -> None:
        """Requests that must be refused: an id that nothing has, a body of another kind."""
        if operation.rule in {"stream", "stub"}:
            return
        values = self._records.unknown_path_values(operation)
        makes = operation.rule in {"create", "list"} or self._may_make(operation)
        if id_parameter(operation) and not makes:
            call = self._records.call(operation, values, self._records.plain_body(operation))
            name = f"{operation.label} with an unknown id"
            self._examination.ask(name, call, has_status(_NOT_FOUND))
        if self._takes_an_object(operation):
            call = self._records.call(operation, values, _BAD_BODY)
            name = f"{operation.label} with a bad body"
            self._examination.ask(name, call, has_status(self._contract.invalid_status))

    def _may_make(self, operation: Operation) -> bool:
        """Where nothing else creates records, replacing one makes it."""
        creating = self._records.operation("create", operation.resource)
        return operation.rule == "replace" and creating is None

    def _takes_an_object(self, operation: Operation) -> bool:
        shape = resolved(operation.request or {}, self._contract)
        return shape.get("type") == "object"

    def _ask(self, operation: Operation, values: Mapping[str, str], body: JsonValue) -> bool:
        call = self._records.call(operation, values, body)
        expected = Expected(self._examination, operation)
        return self._examination.ask(operation.label, call, expected) is not None

    def _use_record(self, operation: Operation) -> None:
        record = None
        if id_parameter(operation):
            record = self._records.record_for(operation, operation.resource)
            if record is None:
                self._examination.note(
                    operation.label, "not asked: it needs a record, none is made"
                )
                return
        values = self._records.path_values(operation, record)
        if operation.rule == "stream":
            url = "ws" + self._examination.url.removeprefix("http")
            problem = _connection_problem(url + filled(operation.path, values))
            self._examination.record(operation.label, problem)
            return
        was_done = self._ask(operation, values, self._records.body(operation))
        if operation.rule == "delete" and was_done and record is not None:
            self._is_gone(operation, record)

    def _create(self, operation: Operation) -> None:
        resource = self._contract.resource(operation.resource)
        listing = self._records.operation("list", operation.resource)
        values = self._records.path_values(operation)
        before = self._count(listing, values)
        record = self._records.create(operation, path_values=values)
        if record is None or resource is None:
            return
        after = self._count(listing, values)
        if listing is not None and before is not None and after is not None:
            problem = None if after == before + 1 else f"had {before} entries, then {after}"
            name = f"{listing.label} grows by what {operation.label} makes"
            self._examination.record(name, problem)
        self._is_found_again(operation, resource, record)

    def _is_found_again(self, operation: Operation, resource: Resource, record: Record) -> None:
        reading = self._records.operation("read", resource.name)
        if reading is None or not id_parameter(reading):
            return
        call = self._records.call(reading, self._records.path_values(reading, record), None)
        name = f"{reading.label} finds what {operation.label} made"
        answer = self._examination.ask(name, call, has_status(reading.success_status))
        if answer is not None:
            problem = difference(record.sent, record_in(answer, reading), resource)
            self._examination.record(f"{reading.label} returns what was created", problem)

    def _is_gone(self, operation: Operation, record: Record) -> None:
        resource = self._contract.resource(operation.resource)
        reading = self._records.operation("read", operation.resource)
        if reading is None or resource is None or resource.soft_delete:
            return
        call = self._records.call(reading, self._records.path_values(reading, record), None)
        name = f"{reading.label} after {operation.label}"
        self._examination.ask(name, call, has_status(_NOT_FOUND))

    def _find_stub(self, operation: Operation) -> None:
        values = self._records.unknown_path_values(operation)
        call = self._records.call(operation, values, self._records.plain_body(operation))
        name = f"{operation.label} (declared as not implemented, SPEC line {operation.spec_line})"
        invalid = self._contract.invalid_status
        allowed = (_NOT_IMPLEMENTED, operation.success_status, _NOT_FOUND, invalid)
        self._examination.ask(name, call, has_status(*allowed))

    def _count(self, listing: Operation | None, values: Mapping[str, str]) -> int | None:
        """How many entries a list has; None if `values` are not enough to ask for it."""
        if listing is None or {p.name for p in listing.parameters_in("path")} - set(values):
            return None
        name = f"{listing.label} (counting)"
        call = self._records.call(listing, values, None)
        answer = self._examination.ask(name, call, has_status(listing.success_status))
        if answer is None:
            return None
        key = listing.effect.collection
        entries: JsonValue = answer.body if key is None else answer.fields.get(key)
        return len(entries) if isinstance(entries, list) else None


def _connection_problem(url: str) -> str | None:
    try:
        with connect(url, open_timeout=_CONNECT_SECONDS, close_timeout=1, proxy=None):
            return None
    except (OSError, WebSocketException) as error:
        return f"does not accept a connection: {error}"
