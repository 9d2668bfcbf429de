"""Records that a check needs, made by the examined service's own operations."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from pydantic import JsonValue

from build_executor.checks.examination import Call, Examination
from build_executor.checks.expectations import Expected, id_in, id_parameter, unknown_id
from build_executor.checks.sampling import fields, sample, sample_body
from build_executor.checks.udc import status_message
from build_executor.models import Value
from build_executor.spec.contract import Operation, Resource

_DEEPEST = 4


class Record(Value):
    """A record of the examined service: its id, where it is, and what was sent to make it."""

    id: str
    sent: JsonValue = None
    path_values: Mapping[str, str]


class Records:
    """Makes records and the requests that concern them; each body differs where it must."""

    def __init__(self, examination: Examination) -> None:
        self._examination = examination
        self._contract = examination.contract
        self._variation = 0
        self._depth = 0

    def operation(self, rule: str, resource: str | None) -> Operation | None:
        """The first operation of this rule on this resource."""
        found = (o for o in self._contract.business if o.rule == rule and o.resource == resource)
        return next(found, None) if resource is not None else None

    def create(
        self, operation: Operation, purpose: str = "", path_values: Mapping[str, str] | None = None
    ) -> Record | None:
        """A new record, if the service made one; that it did is checked."""
        values = self.path_values(operation) if path_values is None else path_values
        call = self.call(operation, values, self.body(operation))
        name = operation.label + purpose
        answer = self._examination.ask(name, call, Expected(self._examination, operation))
        if answer is None:
            return None
        identity = id_in(answer, operation, self._contract.resource(operation.resource))
        if identity is None:
            self._examination.note(name, "its answer carries no id to follow")
            return None
        return Record(id=identity, sent=call.body, path_values=values)

    def create_for(self, operation: Operation, resource: str | None) -> str | None:
        """The id of a new record of `resource`; None if the contract has no way to make one."""
        record = self.record_for(operation, resource)
        return record.id if record else None

    def record_for(self, operation: Operation, resource: str | None) -> Record | None:
        """A new record for this operation to work on, with all the records that it needs."""
        if self._depth >= _DEEPEST:
            return None
        creation = self.operation("create", resource)
        if creation is None:
            return self._hand_in(operation, self._contract.resource(resource))
        self._depth += 1
        try:
            return self.create(creation, f" (for {operation.label})")
        finally:
            self._depth -= 1

    def _hand_in(self, operation: Operation, resource: Resource | None) -> Record | None:
        """A record of a kind that only other services make: it comes in as a message."""
        if resource is None or resource.creatable:
            return None
        self._variation += 1
        is_number = resource.id_type == "integer"
        identity: JsonValue = self._variation if is_number else f"verification-{self._variation}"
        data = {
            name: sample(shape, self._contract) for name, shape in fields(resource.shape).items()
        }
        data[resource.id_field] = identity
        if resource.status_field is not None:
            data[resource.status_field] = resource.initial_status
        message = status_message(self._contract.service)
        message["payload"] = {"resource": resource.name, "data": data}
        name = f"POST /message keeps {resource.name} (for {operation.label})"
        expected = self._examination.fits({"properties": {"result": {"const": "success"}}}, 200)
        answer = self._examination.ask(name, Call("POST", "/message", message), expected)
        return Record(id=str(identity), sent=data, path_values={}) if answer else None

    def call(self, operation: Operation, values: Mapping[str, str], body: JsonValue) -> Call:
        """The request: parameters filled in, and of the query only what has to be there.

        An optional filter could hide what was just created.
        """
        query: dict[str, JsonValue] = {
            parameter.name: sample(parameter.shape, self._contract)
            for parameter in operation.parameters_in("query")
            if parameter.required
        }
        method = "GET" if operation.method == "ANY" else operation.method
        return Call(method, filled(operation.path, values), body, query)

    def body(self, operation: Operation) -> JsonValue:
        """A body it should accept; where it must name another record, one is made."""
        body = self.plain_body(operation)
        if isinstance(body, dict):
            for reference in operation.effect.references:
                if reference.field not in body:
                    continue
                if reference.resource == operation.resource:
                    del body[reference.field]  # the first of its kind has nothing to refer to
                elif made := self.create_for(operation, reference.resource):
                    is_number = isinstance(body[reference.field], int) and made.isdigit()
                    body[reference.field] = int(made) if is_number else made
        return body

    def plain_body(self, operation: Operation) -> JsonValue:
        """A body of the right shape; records that it names need not exist."""
        self._variation += 1
        return sample_body(operation, self._contract, self._variation)

    def path_values(self, operation: Operation, record: Record | None = None) -> dict[str, str]:
        """Values for the path: the record's id, new parents where it needs them, else made up."""
        values = self.unknown_path_values(operation)
        parents = {parent.field: parent.resource for parent in operation.effect.parents}
        known = record.path_values if record else {}
        for name, resource in parents.items():
            if name not in known:
                values[name] = self.create_for(operation, resource) or values[name]
        values.update({name: value for name, value in known.items() if name in values})
        parameter = id_parameter(operation)
        if record is not None and parameter is not None:
            values[parameter.name] = record.id
        return values

    def unknown_path_values(self, operation: Operation) -> dict[str, str]:
        """Values for the path that name no record."""
        parameters = operation.parameters_in("path")
        values = {p.name: str(sample(p.shape, self._contract)) for p in parameters}
        for parent in operation.effect.parents:
            named = next((p for p in parameters if p.name == parent.field), None)
            values[parent.field] = unknown_id(named)
        parameter = id_parameter(operation)
        if parameter is not None:
            values[parameter.name] = unknown_id(parameter)
        return values


def filled(path: str, values: Mapping[str, str]) -> str:
    """The path with its parameters' values, quoted."""
    return re.sub(r"{(\w+)(:[^}]*)?}", lambda m: quote(values.get(m[1], "sample"), safe=""), path)
