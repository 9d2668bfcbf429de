"""What schemathesis reports, read as findings, and which of them decide.

It writes two reports: one event a line, which names each request that found something and which
survives a kill; and the run's sums, written at its end. Neither is trusted to be complete.
"""

import base64
import binascii
import shlex
from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from build_executor.models import Check, Finding, Value
from build_executor.spec.contract import Contract, Operation

GATE = "schemathesis"
_MOST_FINDINGS = 30
_LONGEST_MESSAGE = 300
_LONGEST_REPRODUCTION = 1500
_SERVER_ERROR = 500
_SOMETIMES_EXPECTED = frozenset({"ST103", "ST204", "ST301"})
_GONE = "ServerUnavailable"
_DECISIVE = frozenset(
    {
        "ST101",  # server error
        "ST102",  # the same, found by the type of its content
        "ST108",  # the answer is not what the contract's schema says
        "ST109",  # the answer is not JSON
        "ST110",  # the answer cannot be decoded
        "ST111",  # the answer is none of the alternatives
        _GONE,  # the service ended
    }
)
"""The rules that fail a verification. The others weigh what a contract leaves open (may null stand
for an absent field, which status refuses a request), so they are shown and do not decide."""


class Fuzzing(Value):
    """What schemathesis did to a staged copy, and what it found."""

    cases: int
    seconds: float
    ended: str = Field(description='"completed", "max_time", "killed", or why it did not run')
    failures: tuple[Finding, ...] = Field(default=(), description="each fails the verification")
    advice: tuple[Finding, ...] = Field(default=(), description="shown, and nothing more")

    def __str__(self) -> str:
        """One line for a log."""
        found = f"{len(self.failures)} failures, {len(self.advice)} remarks"
        return f"schemathesis: {self.cases} requests in {self.seconds:g} s ({self.ended}): {found}"


def read_reports(
    events: bytes, summary: bytes, contract: Contract, *, ended: str, seconds: float
) -> Fuzzing:
    """The reports as one value; `ended` and `seconds` stand in where the summary says nothing."""
    scenarios, problems = _read(events)
    found = [*_failed(scenarios, contract), *_gone(problems, contract)]
    sums = _sums(summary)
    if sums is not None:
        found += _unnamed(sums.failures, found)
    distinct = list({(f.rule, f.operation): f for f in reversed(found)}.values())[::-1]
    return Fuzzing(
        cases=sums.test_cases.generated if sums else sum(len(s.recorder.cases) for s in scenarios),
        seconds=round(seconds, 1),
        ended=sums.stop_reason if sums else ended,
        failures=tuple(f for f in distinct if is_decisive(f))[:_MOST_FINDINGS],
        advice=tuple(f for f in distinct if not is_decisive(f))[:_MOST_FINDINGS],
    )


def fuzzing_checks(fuzzing: Fuzzing) -> tuple[Check, ...]:
    """The run as a check, and each finding as one: what does not decide has passed, remarked."""
    whole = Check(
        name=GATE,
        passed=not fuzzing.failures,
        detail=str(fuzzing),
        duration_ms=fuzzing.seconds * 1000,
    )
    return (whole, *(_check(f) for f in (*fuzzing.failures, *fuzzing.advice)))


def _check(finding: Finding) -> Check:
    name = f"{GATE}: {finding.rule}, {finding.operation or 'the service'}"
    return Check(name=name, passed=not is_decisive(finding), detail=finding.message)


def is_decisive(finding: Finding) -> bool:
    """Whether the finding fails a verification."""
    return finding.rule.partition(" ")[0] in _DECISIVE


def _bytes(value: object) -> object:
    """Bodies are written as {"$base64": ...}."""
    if not isinstance(value, dict):
        return value
    try:
        return base64.b64decode(str(value.get("$base64") or ""), validate=True)
    except binascii.Error:
        return b""


class _Request(BaseModel):
    method: str
    uri: str
    headers: dict[str, list[str]] = {}
    body: Annotated[bytes | None, BeforeValidator(_bytes)] = None


class _Response(BaseModel):
    status_code: int


class _Interaction(BaseModel):
    request: _Request
    response: _Response | None = None


class _Failure(BaseModel):
    code: str
    operation: str
    title: str
    message: str = ""


class _FailureInfo(BaseModel):
    failure: _Failure


class _Check(BaseModel):
    status: str
    failure_info: _FailureInfo | None = None


class _Recorder(BaseModel):
    cases: dict[str, object] = {}
    checks: dict[str, list[_Check]] = {}
    interactions: dict[str, _Interaction] = {}


class _Scenario(BaseModel):
    recorder: _Recorder


class _Problem(BaseModel):
    type: str = ""
    message: str = ""


class _NonFatal(BaseModel):
    value: _Problem
    label: str = ""


class _Event(BaseModel):
    """One line; other kinds of events have other keys, which do not matter here."""

    scenario: _Scenario | None = Field(default=None, alias="ScenarioFinished")
    problem: _NonFatal | None = Field(default=None, alias="NonFatalError")


class _Cases(BaseModel):
    generated: int = 0


class _Group(BaseModel):
    code: str
    title: str
    operations: list[str] = []


class _Sums(BaseModel):
    stop_reason: str
    test_cases: _Cases = _Cases()
    failures: list[_Group] = []


def _read(events: bytes) -> tuple[list[_Scenario], list[_NonFatal]]:
    """The events that matter; a line that was cut off by a kill is left out."""
    scenarios, problems = [], []
    for line in events.splitlines():
        try:
            event = _Event.model_validate_json(line)
        except ValidationError:
            continue
        scenarios += [event.scenario] if event.scenario else []
        problems += [event.problem] if event.problem else []
    return scenarios, problems


def _sums(summary: bytes) -> _Sums | None:
    try:
        return _Sums.model_validate_json(summary)
    except ValidationError:
        return None


def _failed(scenarios: Iterable[_Scenario], contract: Contract) -> Iterator[Finding]:
    operations = {operation.label: operation for operation in contract.operations}
    for scenario in scenarios:
        recorder = scenario.recorder
        for case, checks in recorder.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    failure, interaction = (
                        check.failure_info.failure,
                        recorder.interactions.get(case),
                    )
                    operation = operations.get(failure.operation)
                    if not _is_expected(failure, interaction, operation, contract):
                        yield _finding(failure, interaction, operation)


def _is_expected(
    failure: _Failure,
    interaction: _Interaction | None,
    operation: Operation | None,
    contract: Contract,
) -> bool:
    """What is no finding.

    A server error's status is no second fault; what is only marked as deleted can be read; and
    the mesh's checkers ask `/message` with GET.
    """
    match failure.code:
        case "ST103":
            response = interaction.response if interaction else None
            return response is not None and response.status_code >= _SERVER_ERROR
        case "ST301":
            resource = contract.resource(operation.resource) if operation else None
            return resource is not None and resource.soft_delete is not None
        case "ST204":
            return operation is not None and operation.kind == "udc"
        case _:
            return False


def _finding(
    failure: _Failure, interaction: _Interaction | None, operation: Operation | None
) -> Finding:
    message = " ".join(failure.message.split())[:_LONGEST_MESSAGE]
    response = interaction.response if interaction else None
    answered = f"answered {response.status_code}" if response else ""
    parts = [part for part in (message, answered) if part]
    if interaction is not None:
        parts.append(f"reproduce with: {reproduction(interaction.request)}")
    return Finding(
        gate=GATE,
        rule=f"{failure.code} {failure.title}",
        operation=failure.operation,
        spec_line=operation.spec_line or None if operation else None,
        message="; ".join(parts) or failure.title,
    )


def reproduction(request: _Request) -> str:
    """The request as a curl command for a shell."""
    words = ["curl", "-X", request.method]
    for name, values in request.headers.items():
        words += [word for value in values for word in ("-H", f"{name}: {value}")]
    source = ""
    if request.body:
        try:
            words += ["--data-raw", request.body.decode()]
        except UnicodeDecodeError:
            source = f"echo {base64.b64encode(request.body).decode()} | base64 -d | "
            words += ["--data-binary", "@-"]
    return (source + shlex.join([*words, request.uri]))[:_LONGEST_REPRODUCTION]


def _gone(problems: Iterable[_NonFatal], contract: Contract) -> Iterator[Finding]:
    """Requests that got no answer, and that nothing is answered any more."""
    lines = {operation.label: operation.spec_line for operation in contract.operations}
    for problem in problems:
        message = " ".join(problem.value.message.split())[:_LONGEST_REPRODUCTION]
        known = problem.label in lines
        yield Finding(
            gate=GATE,
            rule=problem.value.type or "error",
            operation=problem.label if known else None,
            spec_line=lines[problem.label] or None if known else None,
            message=message or "no answer",
        )


def _unnamed(groups: Iterable[_Group], found: Iterable[Finding]) -> Iterator[Finding]:
    """What the sums tell of and no event explains: shown without its request, but not lost."""
    named = {finding.rule.partition(" ")[0] for finding in found}
    for group in groups:
        if group.code not in named | _SOMETIMES_EXPECTED:
            message = f"found in {', '.join(group.operations)}"
            yield Finding(gate=GATE, rule=f"{group.code} {group.title}", message=message)
