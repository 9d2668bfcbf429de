"""What the templates of the tests need to know: only the contract, never the generated code."""

import re
from collections.abc import Iterator

from build_executor.generators.compiler.contract_test_calls import body_members, body_of
from build_executor.generators.compiler.contract_test_cases import Account
from build_executor.generators.compiler.contract_test_resources import resource_cases
from build_executor.generators.compiler.contract_test_written import written_cases
from build_executor.generators.compiler.text import literal
from build_executor.spec.contract import Contract, Operation
from build_executor.spec.shapes import is_type, properties, resolved

_UNKNOWN = {"string": "no-such-thing", "integer": "987654321"}
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def tests_context(contract: Contract) -> dict[str, object]:
    """All values that the templates of the tests use."""
    cases = list(resource_cases(contract))
    return {
        "contract": contract,
        "service": contract.service,
        "cases": cases,
        "account": _account(contract),
        "secured": list(_secured(contract)),
        "owned": [c for c in cases if c.create.owned and c.read_owned],
        "linked": any(case.parents or case.references for case in cases),
        "documented": [o for o in contract.business if o.method not in {"WS", "ANY"}],
        "unknown": list(_unknown_calls(contract)),
        "stubs": list(_stubs(contract)),
        "bad_bodies": list(_bad_bodies(contract)),
        "reads": list(_plain_reads(contract)),
        "written": list(written_cases(contract, cases)),
        "orphans": [r for r in contract.resources if not r.creatable],
    }


def _account(contract: Contract) -> Account | None:
    auth = contract.auth
    own = [o for o in contract.business if auth and o.resource == auth.resource]
    sign_in = next((o for o in own if o.rule == "login"), None)
    sign_up = next((o for o in own if o.rule == "create"), None)
    if auth is None or sign_in is None or sign_up is None:
        return None
    token = next((a.field for a in sign_in.effect.answers if a.source == "token"), "token")
    return Account(
        sign_up=sign_up.path,
        sign_up_status=sign_up.success_status,
        bodies=tuple(body_of(contract, sign_up, number) for number in (101, 102)),
        sign_in=sign_in.path,
        sign_in_status=sign_in.success_status,
        names=tuple(sorted(body_members(contract, sign_in) & body_members(contract, sign_up))),
        token=token,
        login_field=auth.login_field,
        password_field=auth.password_field,
    )


def _secured(contract: Contract) -> Iterator[tuple[str, str, str]]:
    """(method, path, body) of operations that want a token."""
    for operation in contract.business:
        if operation.secured and operation.method not in {"WS", "ANY"} and operation.rule != "stub":
            path = re.sub(r"\{[^}]*\}", "1", operation.path)
            yield operation.method, path, literal(body_of(contract, operation, 1))


def _unknown_calls(contract: Contract) -> Iterator[tuple[str, str, str]]:
    """(method, path with an id that does not exist, body) of operations that must say 404."""
    for operation in contract.business:
        names = operation.parameters_in("path")
        looks_up = operation.effect.id_parameter or operation.effect.parents
        upserts = operation.rule == "replace" and not _has_create(contract, operation)
        if not looks_up or operation.rule in {"stub", "stream"} or upserts:
            continue
        if operation.rule == "create" and not operation.effect.parents:
            continue
        path = operation.path
        for parameter in names:
            path = path.replace("{" + parameter.name + "}", _unknown(contract, operation))
        yield operation.method, path, literal(body_of(contract, operation, 1))


def _has_create(contract: Contract, operation: Operation) -> bool:
    own = [o for o in contract.business if o.resource == operation.resource]
    return any(o.rule == "create" for o in own)


def _unknown(contract: Contract, operation: Operation) -> str:
    resource = contract.resource(operation.resource)
    numbers = any(is_type(p.shape, "integer") for p in operation.parameters_in("path"))
    is_number = numbers or (resource is not None and resource.id_type == "integer")
    return _UNKNOWN["integer" if is_number else "string"]


def _stubs(contract: Contract) -> Iterator[tuple[str, str, str, int]]:
    for operation in contract.business:
        if operation.rule == "stub" and operation.method not in {"HEAD", "OPTIONS"}:
            method = "GET" if operation.method == "ANY" else operation.method
            path = re.sub(r"\{[^}]*\}", "1", operation.path)
            yield method, path, literal(body_of(contract, operation, 1)), operation.spec_line


def _bad_bodies(contract: Contract) -> Iterator[tuple[str, str]]:
    """Operations whose body is an object: anything else must be refused before it is looked up."""
    for operation in contract.business:
        shape = resolved(operation.request or {}, contract.components)
        if operation.method in _WITH_BODY and properties(shape) and operation.rule != "stream":
            yield operation.method, re.sub(r"\{[^}]*\}", "1", operation.path)


def _plain_reads(contract: Contract) -> Iterator[tuple[str, int]]:
    for operation in contract.business:
        needs = any(p.required for p in operation.parameters_in("query"))
        if operation.method == "GET" and "{" not in operation.path and not needs:
            status = 501 if operation.rule == "stub" else operation.success_status
            yield operation.path, status
