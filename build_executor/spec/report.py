"""What can be said of a SPEC before anything is built from it."""

from pydantic import JsonValue

from build_executor.errors import SpecRefused
from build_executor.models import Value
from build_executor.spec.contract import Contract, Note, Operation


class Endpoint(Value):
    """An endpoint that the SPEC defines, and how far it will be implemented."""

    method: str
    path: str
    line: int
    status: str


class Compilability(Value):
    """Whether a SPEC can be built, what was found in it, and what stays open."""

    service: str | None = None
    port: int | None = None
    port_source: str | None = None
    buildable: bool
    reason: str | None = None
    message: str | None = None
    line: int | None = None
    endpoints: tuple[Endpoint, ...] = ()
    assumptions: tuple[Note, ...] = ()
    gaps: tuple[Note, ...] = ()

    def __str__(self) -> str:
        """For people: one line a fact."""
        if not self.buildable:
            where = f" (line {self.line})" if self.line else ""
            return f"refused, {self.reason}: {self.message}{where}"
        port = f"port {self.port} ({self.port_source})" if self.port else "no port stated"
        lines = [f"{self.service}: {len(self.endpoints)} endpoints, {port}"]
        lines.extend(
            f"  line {e.line:>5}  {e.method:<7}{e.path}  {e.status}" for e in self.endpoints
        )
        for title, notes in (("gaps", self.gaps), ("assumptions", self.assumptions)):
            if notes:
                lines.extend([f"{title}:", *(f"  {note}" for note in notes)])
        return "\n".join(lines)


def report_on(contract: Contract) -> Compilability:
    """The report on a SPEC that a contract could be derived from."""
    stated = [operation for operation in contract.operations if operation.spec_line]
    return Compilability(
        service=contract.service,
        port=contract.port,
        port_source=contract.port_source,
        buildable=True,
        endpoints=tuple(_endpoint(operation, contract) for operation in stated),
        assumptions=contract.assumptions,
        gaps=contract.gaps,
    )


def refusal_report(error: SpecRefused) -> Compilability:
    """The report on a SPEC that was refused."""
    return Compilability(
        buildable=False, reason=error.reason, message=error.message, line=error.line
    )


def _endpoint(operation: Operation, contract: Contract) -> Endpoint:
    return Endpoint(
        method=operation.method,
        path=operation.path,
        line=operation.spec_line,
        status=status_of(operation, contract),
    )


def status_of(operation: Operation, contract: Contract) -> str:
    """`udc`, `implemented`, `derived` where something was assumed, `written` or `stub-501`."""
    if operation.kind == "udc":
        return "udc"
    if operation.rule in {"stub", "written"}:
        return "stub-501" if operation.rule == "stub" else "written"
    noted = {note.operation for note in (*contract.assumptions, *contract.gaps)}
    return "derived" if operation.label in noted else "implemented"


def as_json(report: Compilability) -> JsonValue:
    """The report as data."""
    found: JsonValue = report.model_dump(mode="json")
    return found
