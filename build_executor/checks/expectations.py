"""What the right answer to an operation is, and what can be read from it."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import JsonValue

from build_executor.checks.examination import Examination, has_status
from build_executor.checks.sampling import resolved
from build_executor.http_client import Answer
from build_executor.spec.contract import Operation, Parameter, Resource

_UNKNOWN_ID = "00000000-0000-4000-8000-00000000dead"
_UNKNOWN_NUMBER = "987654321"
_CONFLICT = 409


class Expected:
    """An answer with a documented status, whose body has the documented fields and types."""

    def __init__(self, examination: Examination, operation: Operation) -> None:
        self._examination = examination
        self._operation = operation
        self._statuses = [operation.success_status]
        if operation.rule == "transition" and _may_conflict(operation, examination):
            self._statuses.append(_CONFLICT)
        if operation.rule == "written":  # what it refuses is only known as far as the SPEC says it
            self._statuses.extend(operation.errors)

    def __call__(self, answer: Answer) -> str | None:
        """What is wrong with the answer; None if nothing is."""
        if wrong := has_status(*self._statuses)(answer):
            return wrong
        operation = self._operation
        if operation.response is None or answer.status != operation.success_status:
            return None
        if operation.media_type != "application/json":
            return None
        contract = self._examination.contract
        word = "required" if contract.declared else "properties"  # a declared shape says which
        documented = resolved(operation.response, contract).get(word)
        if isinstance(documented, dict | list) and (absent := {*documented} - set(answer.fields)):
            return f"lacks the documented {', '.join(sorted(absent))}"
        return self._examination.fits(operation.response, answer.status)(answer)


def _may_conflict(operation: Operation, examination: Examination) -> bool:
    """A new record need not be in a state from which the contract lets it change."""
    resource = examination.contract.resource(operation.resource)
    ended = resource is not None and resource.initial_status in resource.terminal
    return ended or bool(operation.effect.allowed_from) or _CONFLICT in operation.errors


def id_parameter(operation: Operation) -> Parameter | None:
    """The path parameter that names the record."""
    named = operation.effect.id_parameter
    return next((p for p in operation.parameters_in("path") if p.name == named), None)


def unknown_id(parameter: Parameter | None) -> str:
    """An id of the parameter's type that no record has."""
    is_number = parameter is not None and parameter.shape.get("type") == "integer"
    return _UNKNOWN_NUMBER if is_number else _UNKNOWN_ID


def id_in(answer: Answer, operation: Operation, resource: Resource | None) -> str | None:
    """The id of the record that an answer tells of."""
    body = record_in(answer, operation)
    names = [resource.id_field, "id"] if resource else ["id"]
    names += [name for name in body if name.endswith("_id")]
    found = next((body[name] for name in names if body.get(name) is not None), None)
    return None if found is None else str(found)


def record_in(answer: Answer, operation: Operation) -> dict[str, JsonValue]:
    """The record itself, where an answer wraps it."""
    inner = answer.fields.get(operation.effect.wraps or "")
    return inner if isinstance(inner, dict) else answer.fields


def difference(
    sent: JsonValue, answered: Mapping[str, JsonValue], resource: Resource
) -> str | None:
    """How a record differs from what was sent; secrets and absent fields are not compared."""
    for name, value in sent.items() if isinstance(sent, dict) else ():
        comparable = name in answered and name not in resource.secret
        if comparable and not _same(value, answered[name]):
            return f"{name} was {value!r} and is {answered[name]!r}"
    return None


def _same(sent: JsonValue, answered: JsonValue) -> bool:
    """Equal, or the same instant written in another way; defaults may have been added inside."""
    if isinstance(sent, dict) and isinstance(answered, dict):
        return all(name in answered and _same(sent[name], answered[name]) for name in sent)
    if isinstance(sent, list) and isinstance(answered, list):
        return len(sent) == len(answered) and all(map(_same, sent, answered))
    if sent == answered or not isinstance(sent, str) or not isinstance(answered, str):
        return sent == answered
    try:
        return datetime.fromisoformat(sent) == datetime.fromisoformat(answered)
    except (ValueError, TypeError):
        return False
