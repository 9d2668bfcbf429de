"""Does a running service honour its contract? Every operation is asked, not only looked up.

`staged_checks` creates records and follows them through all their operations; it is for a copy that
nobody uses. `live_checks` changes nothing and may be asked of the instance that takes traffic.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

from pydantic import JsonValue
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from build_executor.examination import Call, Examination, has_status
from build_executor.http_client import Answer, HttpClient
from build_executor.models import Check, Value
from build_executor.sampling import sample, sample_body
from build_executor.spec.contract import Contract, Operation, Parameter, Resource
from build_executor.udc_checks import check_message, check_udc

_STAGED_SECONDS = 120.0
_LIVE_SECONDS = 20.0
_CONNECT_SECONDS = 5.0
_UNKNOWN_ID = "00000000-0000-4000-8000-00000000dead"
_UNKNOWN_NUMBER = "987654321"
_BAD_BODY: JsonValue = ["not", "an", "object"]
_NOT_IMPLEMENTED, _NOT_FOUND, _CONFLICT, _UNPROCESSABLE = 501, 404, 409, 422
_DEEPEST = 4


def staged_checks(url: str, contract: Contract, release_id: str) -> tuple[Check, ...]:
    """All checks there are, in order; never raises for what the service does."""
    with HttpClient(url) as client:
        examination = Examination(client, contract, seconds=_STAGED_SECONDS)
        check_udc(examination, release_id)
        check_message(examination)
        _Walk(examination).through_everything()
        return tuple(examination.checks)


def live_checks(url: str, contract: Contract, release_id: str) -> tuple[Check, ...]:
    """The checks that leave no trace: the UDC, reading, and requests that must be refused."""
    with HttpClient(url) as client:
        examination = Examination(client, contract, seconds=_LIVE_SECONDS)
        check_udc(examination, release_id)
        walk = _Walk(examination)
        for operation in contract.business:
            walk.look_at(operation)
        return tuple(examination.checks)


class Record(Value):
    """A record of the examined service: its id, and what the service was told and answered."""

    id: str
    sent: JsonValue = None
    path_values: Mapping[str, str]


class _Walk:
    """Goes through the operations, making the records that each of them needs."""

    def __init__(self, examination: Examination) -> None:
        self._ask = examination
        self._contract = examination.contract
        self._variation = 0

    def through_everything(self) -> None:
        """Each operation with real records, an unknown id, and a body that must be refused."""
        for operation in self._contract.business:
            match operation.rule:
                case "stream":
                    self._connect(operation)
                case "stub":
                    self._find_stub(operation)
                case "create":
                    self._follow_creation(operation)
                case _:
                    self._use(operation)
            self._refuses_unknown(operation)
            self._refuses_bad_body(operation)

    def look_at(self, operation: Operation) -> None:
        """What can be asked of one operation without changing anything."""
        if operation.rule in {"stream", "stub"}:
            return
        if operation.method == "GET" and not _identity(operation):
            self._call(operation, self._path_values(operation, None))
        self._refuses_unknown(operation)
        self._refuses_bad_body(operation)

    def _use(self, operation: Operation) -> None:
        record = self._record_for(operation)
        if _identity(operation) and record is None:
            self._ask.note(operation.label, "nothing in the contract creates what it needs")
            return
        answer = self._call(operation, self._path_values(operation, record))
        if operation.rule == "delete" and answer is not None and record is not None:
            self._is_gone(operation, record)

    def _call(self, operation: Operation, values: Mapping[str, str]) -> Answer | None:
        self._variation += 1
        body = self._body(operation)
        call = Call(operation.method, _filled(operation.path, values), body, self._query(operation))
        return self._ask.ask(operation.label, call, self._expected(operation))

    def _expected(self, operation: Operation) -> "_Expected":
        statuses = [operation.success_status]
        if operation.rule == "transition" and operation.effect.allowed_from:
            statuses.append(_CONFLICT)  # a new record need not be in the state it starts from
        return _Expected(self._ask, operation, tuple(statuses))

    def _follow_creation(self, operation: Operation) -> None:
        resource = self._contract.resource(operation.resource)
        listing = self._operation("list", operation.resource)
        values = self._path_values(operation, None)
        before = self._count(listing, values)
        record = self._create(operation, values)
        if record is None or resource is None:
            return
        after = self._count(listing, values)
        if listing is not None and before is not None and after is not None:
            grown = None if after == before + 1 else f"had {before} entries, then {after}"
            self._ask.record(f"{listing.label} grows by what {operation.label} makes", grown)
        self._is_found_again(operation, resource, record)

    def _create(self, operation: Operation, values: Mapping[str, str]) -> Record | None:
        self._variation += 1
        body = self._body(operation)
        call = Call("POST", _filled(operation.path, values), body, self._query(operation))
        call.method = operation.method
        answer = self._ask.ask(operation.label, call, self._expected(operation))
        if answer is None:
            return None
        identity = _identity_in(answer, operation, self._contract.resource(operation.resource))
        if identity is None:
            self._ask.note(operation.label, "its answer carries no id to follow")
            return None
        return Record(id=identity, sent=body, path_values=values)

    def _is_found_again(self, operation: Operation, resource: Resource, record: Record) -> None:
        reading = self._operation("read", resource.name)
        if reading is None or not _identity(reading):
            return
        path = _filled(reading.path, self._path_values(reading, record))
        answer = self._ask.ask(
            f"{reading.label} finds what {operation.label} made",
            Call("GET", path),
            has_status(reading.success_status),
        )
        if answer is not None:
            difference = _difference(record, _unwrapped(answer, reading), resource)
            self._ask.record(f"{reading.label} returns what was created", difference)

    def _is_gone(self, operation: Operation, record: Record) -> None:
        resource = self._contract.resource(operation.resource)
        reading = self._operation("read", operation.resource)
        if reading is None or resource is None or resource.soft_delete:
            return
        call = Call("GET", _filled(reading.path, self._path_values(reading, record)))
        name = f"{reading.label} after {operation.label}"
        self._ask.ask(name, call, has_status(_NOT_FOUND))

    def _find_stub(self, operation: Operation) -> None:
        values = self._path_values(operation, None)
        call = Call(operation.method, _filled(operation.path, values), self._body(operation))
        name = f"{operation.label} (declared as not implemented, SPEC line {operation.spec_line})"
        allowed = (_NOT_IMPLEMENTED, operation.success_status, _NOT_FOUND, _UNPROCESSABLE)
        self._ask.ask(name, call, has_status(*allowed))

    def _connect(self, operation: Operation) -> None:
        record = self._record_for(operation)
        if _identity(operation) and record is None:
            self._ask.note(operation.label, "nothing in the contract creates what it needs")
            return
        path = _filled(operation.path, self._path_values(operation, record))
        url = "ws" + self._ask.url.removeprefix("http") + path
        self._ask.record(operation.label, _connection_problem(url))

    def _refuses_unknown(self, operation: Operation) -> None:
        identity = _identity(operation)
        if identity is None or operation.rule in {"stream", "stub", "list", "create"}:
            return
        record = Record(id=_unknown(identity), path_values={})
        values = self._path_values(operation, record, create=False)
        body = self._body(operation, create=False)
        call = Call(operation.method, _filled(operation.path, values), body)
        self._ask.ask(f"{operation.label} with an unknown id", call, has_status(_NOT_FOUND))

    def _refuses_bad_body(self, operation: Operation) -> None:
        if operation.request is None or operation.rule in {"stream", "stub"}:
            return
        if operation.request.get("type") != "object":
            return
        identity = _identity(operation)
        record = Record(id=_unknown(identity), path_values={}) if identity else None
        values = self._path_values(operation, record, create=False)
        call = Call(operation.method, _filled(operation.path, values), _BAD_BODY)
        self._ask.ask(f"{operation.label} with a bad body", call, has_status(_UNPROCESSABLE))

    def _count(self, listing: Operation | None, values: Mapping[str, str]) -> int | None:
        if listing is None or set(re.findall(r"{(\w+)", listing.path)) - set(values):
            return None
        name = f"{listing.label} (counting)"
        call = Call("GET", _filled(listing.path, values), query=self._query(listing))
        answer = self._ask.ask(name, call, has_status(listing.success_status))
        key = listing.effect.collection
        entries = answer.body if answer and key is None else answer and answer.fields.get(key or "")
        return len(entries) if isinstance(entries, list) else None

    def _record_for(self, operation: Operation, depth: int = 0) -> Record | None:
        """A new record of the operation's resource, made by the contract's own operation."""
        creation = self._operation("create", operation.resource)
        if creation is None or depth > _DEEPEST or (not _identity(operation)):
            return None
        return self._create(creation, self._path_values(creation, None, depth=depth + 1))

    def _made(self, resource: str, depth: int = 0) -> str | None:
        creation = self._operation("create", resource)
        if creation is None or depth > _DEEPEST:
            return None
        record = self._create(creation, self._path_values(creation, None, depth=depth + 1))
        return record.id if record else None

    def _path_values(
        self, operation: Operation, record: Record | None, *, create: bool = True, depth: int = 0
    ) -> dict[str, str]:
        values = dict(record.path_values) if record else {}
        identity = _identity(operation)
        if record is not None and identity is not None:
            values[identity.name] = record.id
        for parent in operation.effect.parents:
            if parent.field not in values:
                made = self._made(parent.resource, depth) if create else None
                values[parent.field] = made or _UNKNOWN_ID
        for parameter in operation.parameters_in("path"):
            values.setdefault(parameter.name, self._made_up(parameter))
        return values

    def _made_up(self, parameter: Parameter) -> str:
        return str(sample(parameter.shape, self._contract))

    def _query(self, operation: Operation) -> dict[str, JsonValue]:
        """Only what has to be there: an optional filter could hide what was just created."""
        required = [p for p in operation.parameters_in("query") if p.required]
        return {p.name: sample(p.shape, self._contract) for p in required}

    def _body(self, operation: Operation, *, create: bool = True) -> JsonValue:
        body = sample_body(operation, self._contract, self._variation)
        if isinstance(body, dict) and create:
            for reference in operation.effect.references:
                if reference.field in body and (made := self._made(reference.resource)):
                    body[reference.field] = made
        return body

    def _operation(self, rule: str, resource: str | None) -> Operation | None:
        found = (o for o in self._contract.business if o.rule == rule and o.resource == resource)
        return next(found, None) if resource is not None else None


class _Expected:
    """An answer with a documented status, whose body has the documented fields and types."""

    def __init__(
        self, examination: Examination, operation: Operation, statuses: tuple[int, ...]
    ) -> None:
        self._examination = examination
        self._operation = operation
        self._statuses = statuses

    def __call__(self, answer: Answer) -> str | None:
        if wrong := has_status(*self._statuses)(answer):
            return wrong
        shape = self._operation.response
        if shape is None or answer.status != self._operation.success_status:
            return None
        if self._operation.media_type != "application/json" or answer.body is None:
            return None
        documented = shape.get("properties")
        if isinstance(documented, dict) and (absent := set(documented) - set(answer.fields)):
            return f"lacks the documented {', '.join(sorted(absent))}"
        return self._examination.fits(shape, answer.status)(answer)


def _identity(operation: Operation) -> Parameter | None:
    """The path parameter that names the record."""
    named = operation.effect.id_parameter
    return next((p for p in operation.parameters_in("path") if p.name == named), None)


def _identity_in(answer: Answer, operation: Operation, resource: Resource | None) -> str | None:
    body = _unwrapped(answer, operation)
    names = [resource.id_field, "id"] if resource else ["id"]
    names += [name for name in body if name.endswith("_id")]
    found = next((body[name] for name in names if body.get(name) is not None), None)
    return None if found is None else str(found)


def _unwrapped(answer: Answer, operation: Operation) -> dict[str, JsonValue]:
    inner = answer.fields.get(operation.effect.wraps or "")
    return inner if isinstance(inner, dict) else answer.fields


def _difference(
    record: Record, answered: Mapping[str, JsonValue], resource: Resource
) -> str | None:
    """How the record differs from what was sent; secrets and absent fields are not compared."""
    sent = record.sent if isinstance(record.sent, dict) else {}
    for name, value in sent.items():
        comparable = name in answered and name not in resource.secret
        if comparable and not _same(value, answered[name]):
            return f"{name} was {value!r} and is {answered[name]!r}"
    return None


def _same(sent: JsonValue, answered: JsonValue) -> bool:
    """Equal, or the same instant written in another way."""
    if isinstance(sent, str) and isinstance(answered, str):
        return _instant(sent) == _instant(answered)
    return sent == answered


def _instant(text: str) -> str:
    return re.sub(r"(\.\d+?)0*(?=Z|\+|$)", r"\1", text.replace("+00:00", "Z")).replace(".0Z", "Z")


def _unknown(identity: Parameter) -> str:
    return _UNKNOWN_NUMBER if identity.shape.get("type") == "integer" else _UNKNOWN_ID


def _filled(path: str, values: Mapping[str, str]) -> str:
    return re.sub(r"{(\w+)(:[^}]*)?}", lambda m: quote(values.get(m[1], "sample"), safe=""), path)


def _connection_problem(url: str) -> str | None:
    try:
        with connect(url, open_timeout=_CONNECT_SECONDS, close_timeout=1, proxy=None):
            return None
    except (OSError, WebSocketException) as error:
        return f"does not accept a connection: {error}"
