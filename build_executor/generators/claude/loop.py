"""The loop: a model writes functions, the gates judge them, and the best of each one is kept.

Three attempts at the most, each another question. What was accepted stays accepted; a function that
never passes leaves its operation as the compiler has it. No model, no money or time left, a refusal
or no progress end the loop early, and none of them fails a build: the service is then what it would
be without a model, and says so.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from build_executor.errors import (
    CostCeilingReached,
    ModelUnavailable,
)
from build_executor.events import report_progress
from build_executor.generators.claude.code_rules import function_findings
from build_executor.generators.claude.earlier_work import Order
from build_executor.generators.claude.extra_tests import judged
from build_executor.generators.claude.gates import Judge, function_of
from build_executor.generators.claude.holes import Hole, Unfilled, find_holes
from build_executor.generators.claude.questions import (
    LAST_ATTEMPT,
    PROSE,
    TOO_LONG,
    questions,
    stable_part,
)
from build_executor.generators.filling import (
    AttemptReport,
    Author,
    ExtraTest,
    Filling,
    Rejected,
    Written,
)
from build_executor.generators.model import (
    Model,
    Outcome,
    Question,
    Reply,
    Usage,
    Write,
    WriteKind,
)
from build_executor.models import Finding
from build_executor.phases import Phase
from build_executor.spec.contract import Contract

_LONGEST = 600  # seconds; what was asked for by then is still waited for, and judged
_PERCENT = 5  # the code's own progress begins at 10
_log = logging.getLogger(__name__)


def attempt(order: Order, filling: Filling, model: Model, number: int) -> Filling:
    """The account after one more attempt; GenerationFailed where nothing confines the code."""
    gates = order.open_gates()
    unfilled = find_holes(order.contract, order.spec)
    started = order.clock()
    answers = _Answers()
    stable = stable_part(unfilled, order.spec)
    for question in questions(unfilled, stable, filling, attempt=number):
        if order.clock() - started > _LONGEST:
            answers.stopped = f"out of time: attempt {number} had {_LONGEST // 60} minutes"
            break
        if not answers.take(model, question):
            break
    judgement = _judge(unfilled, filling, answers, gates)
    report = AttemptReport(
        number=number,
        asked=filling.open,
        outcomes=tuple(answers.outcomes),
        accepted=tuple(sorted(judgement.accepted.keys() - filling.functions.keys())),
        findings=judgement.listed,
        models=tuple(dict.fromkeys(reply.model for reply in answers.replies)),
        usage=sum((reply.usage for reply in answers.replies), start=Usage()),
        dollars=_dollars(answers.replies),
        seconds=round(order.clock() - started, 1),
    )
    return _ended(_updated(filling, unfilled, answers, judgement, report), answers)


def finish(order: Order, filling: Filling) -> Filling:
    """The account once there are no more attempts: the extra tests are judged."""
    if not filling.tests:
        return filling
    unfilled = find_holes(order.contract, order.spec)
    tests = judged(filling.tests, filling.functions, unfilled.holes, order.open_gates())
    kept = sum(test.kept for test in tests)
    _log.info("%d of %d files of extra tests count", kept, len(tests))
    return filling.model_copy(update={"tests": tests})


@dataclass
class _Answers:
    """What one attempt's questions brought."""

    replies: list[Reply] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    stopped: str | None = None

    def take(self, model: Model, question: Question) -> bool:
        """Ask; whether another question makes sense."""
        try:
            reply = model.ask(question, _tell)
        except (ModelUnavailable, CostCeilingReached) as error:
            self.stopped = f"{_REASONS[type(error)]}: {error}"
            self.outcomes.append(self.stopped)
            _log.warning("%s", self.stopped)
            return False
        self.replies.append(reply)
        self.outcomes.append(f"{reply.outcome.value}{': ' if reply.detail else ''}{reply.detail}")
        if reply.outcome is Outcome.REFUSED:
            self.stopped = f"the model refused: {reply.detail or 'it did not say why'}"
        return self.stopped is None

    def texts(self, kind: WriteKind) -> dict[str, str]:
        """The last text of each name that was asked for."""
        return {name: text for reply in self.replies for name, text in reply.texts(kind).items()}

    @property
    def author(self) -> str | None:
        """The model that answered last."""
        return self.replies[-1].model if self.replies else None


_MISSING = {
    Outcome.PROSE: PROSE,
    Outcome.TRUNCATED: TOO_LONG,
    Outcome.TOO_LONG: TOO_LONG,
}
_REASONS = {ModelUnavailable: "no model answers", CostCeilingReached: "the ceiling is reached"}


def _tell(write: Write) -> None:
    what = "function" if write.kind == "function" else "tests"
    report_progress(Phase.CODE_GENERATION, _PERCENT, f"generated {what} {write.name}")


@dataclass
class _Judgement:
    """Which functions may stay, and what speaks against the others."""

    accepted: dict[str, str]
    findings: dict[str, list[Finding]] = field(default_factory=dict)

    def reject(self, name: str, findings: Iterable[Finding]) -> None:
        """Take a function out, for these reasons."""
        self.accepted.pop(name, None)
        self.findings.setdefault(name, []).extend(findings)

    @property
    def listed(self) -> tuple[Finding, ...]:
        """All reasons, each once."""
        return tuple(dict.fromkeys(f for found in self.findings.values() for f in found))


def _judge(unfilled: Unfilled, filling: Filling, answers: _Answers, gates: Judge) -> _Judgement:
    written = answers.texts("function")
    judgement = _Judgement(dict(filling.functions))
    for hole in unfilled.holes:
        if hole.name in filling.open:
            findings = _first_look(hole, written.get(hole.name), answers)
            judgement.accepted |= {} if findings else {hole.name: written[hole.name]}
            if findings:
                judgement.reject(hole.name, findings)
    if judgement.accepted.keys() - filling.functions.keys():
        _through_the_gates(judgement, gates, unfilled.contract, filling)
    return judgement


def _first_look(hole: Hole, text: str | None, answers: _Answers) -> tuple[Finding, ...]:
    if text is not None:
        return function_findings(text, hole.skeleton, hole.label)
    last = answers.replies[-1].outcome if answers.replies else None
    rule = _MISSING.get(last, "missing") if last is not None else "missing"
    message = f"nothing was written: {answers.outcomes[-1] if answers.outcomes else 'no answer'}"
    return (
        Finding(
            gate="answer",
            rule=rule,
            message=message,
            operation=hole.label,
            spec_line=hole.spec_line,
        ),
    )


def _through_the_gates(
    judgement: _Judgement, gates: Judge, contract: Contract, filling: Filling
) -> None:
    """Take out what the gates blame until they are content; if they blame nobody, one by one."""
    while judgement.accepted:
        findings = gates.judge(judgement.accepted)
        if not findings:
            return
        blamed = {name for f in findings if (name := function_of(f, contract))}
        if not blamed & judgement.accepted.keys():
            _one_by_one(judgement, gates, filling)
            return
        for name in blamed & judgement.accepted.keys():
            judgement.reject(name, [f for f in findings if function_of(f, contract) == name])


def _one_by_one(judgement: _Judgement, gates: Judge, filling: Filling) -> None:
    """Which of the new functions break something else than themselves."""
    new = {n: text for n, text in judgement.accepted.items() if n not in filling.functions}
    for name in new:
        del judgement.accepted[name]
    for name, text in new.items():
        findings = gates.judge({**judgement.accepted, name: text})
        if findings:
            judgement.reject(name, findings)
        else:
            judgement.accepted[name] = text


def _updated(
    filling: Filling,
    unfilled: Unfilled,
    answers: _Answers,
    judgement: _Judgement,
    report: AttemptReport,
) -> Filling:
    known = {written.name: written for written in filling.written}
    texts = answers.texts("function")
    earlier = {one.name: one for one in filling.rejected}
    written = [
        known.get(name)
        or Written(
            name=name,
            text=text,
            author=Author.CLAUDE,
            model=answers.author,
            attempt=report.number,
        )
        for name, text in judgement.accepted.items()
    ]
    rejected = [
        Rejected(
            name=hole.name,
            text=texts.get(hole.name)
            or (earlier[hole.name].text if hole.name in earlier else None),
            findings=tuple(dict.fromkeys(judgement.findings.get(hole.name, ()))),
        )
        for hole in unfilled.holes
        if hole.name not in judgement.accepted
    ]
    return filling.model_copy(
        update={
            "written": tuple(written),
            "rejected": tuple(rejected),
            "tests": _tests(filling, answers),
            "refused": (*filling.refused, *_refused(answers)),
            "attempts": (*filling.attempts, report),
        }
    )


def _tests(filling: Filling, answers: _Answers) -> tuple[ExtraTest, ...]:
    kept = {test.path: test for test in filling.tests}
    new = {path: ExtraTest(path=path, text=t) for path, t in answers.texts("file").items()}
    return tuple({**kept, **new}.values())


def _refused(answers: _Answers) -> list[Finding]:
    """What the model wrote although nobody asked: none of it is used."""
    unasked = [write for reply in answers.replies for write in reply.unasked]
    found = [
        Finding(
            gate="allowed",
            rule="not-asked-for",
            message=f"the model wrote the {write.kind} {write.name[:200]!r}: it is not used",
        )
        for write in unasked
    ]
    for finding in found:
        _log.warning("%s", finding)
    return found


def _ended(filling: Filling, answers: _Answers) -> Filling:
    return filling.model_copy(update={"ended": _why_ended(filling, answers.stopped)})


def _why_ended(filling: Filling, stopped: str | None) -> str | None:
    if not filling.open:
        return "every hole is filled"
    if stopped is not None:
        return stopped
    if filling.attempts[-1].number >= LAST_ATTEMPT:
        return f"{LAST_ATTEMPT} attempts were made"
    if is_stuck(filling.attempts):
        return "no progress: the same findings again"
    return None


def is_stuck(attempts: Sequence[AttemptReport]) -> bool:
    """Whether the last two attempts failed for the same reasons, or two brought no fewer."""
    prints = [{(f.rule, f.operation) for f in one.findings} for one in attempts]
    counts = [len(one.findings) for one in attempts]
    same = len(prints) > 1 and prints[-1] == prints[-2]
    no_fewer = len(counts) > 2 and counts[-1] >= counts[-2] >= counts[-3]  # noqa: PLR2004 - two in a row
    return same or no_fewer


def _dollars(replies: Sequence[Reply]) -> float | None:
    costs = [reply.dollars for reply in replies]
    known = [cost for cost in costs if cost is not None]
    return round(sum(known), 6) if len(known) == len(costs) else None
