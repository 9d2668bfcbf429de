"""How a generated test writes a call: its path as code, the body that is sent, what comes back."""

import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from build_executor.generators.compiler.contract_test_cases import ResourceCase
from build_executor.generators.compiler.samples import sample
from build_executor.generators.compiler.text import text_literal
from build_executor.spec.contract import Contract, Operation, Shape
from build_executor.spec.places import segments
from build_executor.spec.shapes import properties, resolved


def answered_members(contract: Contract, operation: Operation) -> dict[str, Shape]:
    """The fields of the record that an operation answers with."""
    shape = resolved(operation.response or {}, contract.components)
    if operation.effect.wraps:
        inner = properties(shape).get(operation.effect.wraps, {})
        return properties(resolved(inner, contract.components))
    return properties(shape)


def body_members(contract: Contract, operation: Operation) -> set[str]:
    """The names of the fields that a body may have."""
    return set(properties(resolved(operation.request or {}, contract.components)))


def body_of(contract: Contract, operation: Operation, number: int) -> JsonValue:
    """A body that the operation accepts."""
    if operation.request is None:
        return None
    return sample(operation.request, contract.components, number)


def path_code(operation: Operation, codes: Mapping[str, str]) -> str:
    """The code of a path: a literal, or an f-string of the names its parameters have in a test."""
    parts = []
    for part in segments(operation.path):
        name = part[1:-1]
        is_known = part.startswith("{") and name in codes
        parts.append("{" + codes[name] + "}" if is_known else _escaped(part))
    text = "/" + "/".join(parts)
    return f'f"{text}"' if codes else text_literal(operation.path)


def _escaped(text: str) -> str:
    return re.sub(r"[^\w.~@$+!%-]", "", text)


def record_codes(case: ResourceCase, operation: Operation) -> dict[str, str]:
    """The path parameters of an operation on a record, as code that reads them from the record."""
    codes = {parent.field: f"record['{_plain(parent.field)}']" for parent in case.resource.parents}
    if operation.effect.id_parameter:
        codes[operation.effect.id_parameter] = f"record['{_plain(case.resource.id_field)}']"
    names = [part[1:-1] for part in segments(operation.path) if part.startswith("{")]
    return {name: codes[name] for name in names if name in codes}


def _plain(name: str) -> str:
    return re.sub(r"[^\w-]", "", name)


def _is_complete(case: ResourceCase, operation: Operation) -> bool:
    names = [part for part in segments(operation.path) if part.startswith("{")]
    return len(record_codes(case, operation)) == len(names)


def followed(contract: Contract, case: ResourceCase, rule: str) -> Iterator[Operation]:
    """The operations of this rule on a record of the case, where its path can be filled in."""
    for operation in contract.business:
        is_own = operation.resource == case.resource.name and operation.rule == rule
        if is_own and _is_complete(case, operation):
            yield operation
