"""The statements of each operation's function: chosen by its rule, the clock read once."""

from collections.abc import Callable, Iterator

from build_executor.generators.compiler.record_code import RecordCode
from build_executor.generators.compiler.rules import (
    change,
    creation,
    listing,
    reading,
    removal,
    session,
    transition,
)
from build_executor.generators.compiler.text import text_literal
from build_executor.spec.contract import Contract, Operation

_NOW = "timestamp()"


class Writer:
    """Writes the functions of one contract; `answer` is what an operation returns."""

    def __init__(self, contract: Contract) -> None:
        self._records = RecordCode(contract)

    def body(self, operation: Operation, answer: str) -> list[str]:
        """The statements of the operation's function."""
        lines = list(_RULES.get(operation.rule, _stub)(self._records, operation, answer))
        if sum(line.count(_NOW) for line in lines) > 1:
            return [f"now = {_NOW}", *(line.replace(_NOW, "now") for line in lines)]
        return lines


def _stub(_records: RecordCode, operation: Operation, _answer: str) -> Iterator[str]:
    """Says that it is not implemented, and where the SPEC names it."""
    detail = f"{operation.label} is not implemented: nothing says what it does"
    line = f"spec_line={operation.spec_line}"
    yield f"raise NotImplementedYetError({text_literal(detail)}, {line})"


_RULES: dict[str, Callable[[RecordCode, Operation, str], Iterator[str]]] = {
    "create": creation.create,
    "batch": creation.batch,
    "read": reading.read,
    "field": reading.read_field,
    "update": change.update,
    "replace": change.replace,
    "delete": removal.delete,
    "transition": transition.transition,
    "list": listing.list_records,
    "counters": reading.read_counters,
    "information": reading.information,
    "stub": _stub,
    "written": _stub,  # until the function that somebody wrote takes its place
    "login": session.login,
    "logout": session.logout,
    "me": session.me,
}
