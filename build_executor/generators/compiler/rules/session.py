"""The statements that let a caller in and out, and say who it is."""

from collections.abc import Iterator
from typing import cast

from build_executor.generators.compiler.record_code import DUMPED_BODY, RecordCode
from build_executor.generators.compiler.text import text_literal
from build_executor.spec.contract import Auth, Operation


def login(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """Gives a token to whoever knows the password."""
    auth = cast("Auth", records.contract.auth)
    login, password = text_literal(auth.login_field), text_literal(auth.password_field)
    yield f"sent = {DUMPED_BODY.format(more='')}"
    yield f"known = {{{login}: sent[{login}]}}"
    name = text_literal(auth.resource)
    yield f"record = authenticate(repository, {name}, known, str(sent[{password}]))"
    yield f"record_id = record[{text_literal(auth.id_field)}]"
    yield records.answer(operation, answer)


def logout(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """Makes all tokens of the caller worthless."""
    key = text_literal(cast("Auth", records.contract.auth).id_field)
    yield f"revoke_tokens(repository, user[{key}])"
    if answer != "None":
        yield from me(records, operation, answer)


def me(records: RecordCode, operation: Operation, answer: str) -> Iterator[str]:
    """The caller's own account."""
    yield records.answer(operation, answer).replace("record", "user")
