"""Markdown for the people who decide about a build, or want to know what became of it.

What comes out of a SPEC is somebody else's text: it stays inside its cell or its fence.
"""

import re
from collections.abc import Iterable

from build_executor.comparison import Comparison, Compatibility
from build_executor.generators.filling import Author, Filling
from build_executor.models import RollbackReport, VerifiedRelease
from build_executor.spec.contract import Contract
from build_executor.spending import BuildCost, Sum


def contract_evidence(contract: Contract) -> str:
    """For the approval after generation: what was derived, and what is missing."""
    rows = (
        (operation.label, operation.rule, operation.spec_line) for operation in contract.operations
    )
    notes = [f"- gap, {note}" for note in contract.gaps]
    notes += [f"- assumed, {note}" for note in contract.assumptions]
    head = f"**{contract.service} {contract.version}**, contract {contract.digest[:12]}"
    table = _table(("operation", "rule", "SPEC line"), rows)
    return "\n\n".join(part for part in (head, table, "\n".join(notes)) if part)


def release_evidence(verified: VerifiedRelease, compatibility: Compatibility) -> str:
    """For the approval before deployment: the exact release, what it changes, what it passed."""
    release = verified.release
    head = f"**{release.service} {release.id}**, SHA-256 `{release.digest}`"
    rows = ((check.name, check.detail or "passed") for check in verified.checks)
    changes = compatibility_evidence(compatibility)
    return "\n\n".join([head, changes, _table(("check", "result"), rows)])


def compatibility_evidence(compatibility: Compatibility) -> str:
    """What callers of the live version will notice."""
    return "\n\n".join(_compared(one) for one in compatibility.comparisons)


def rollback_evidence(report: RollbackReport) -> str:
    """What is live after a roll-back, and what was read through the public address."""
    head = f"**{report.service}**: {report.rollback_status}, the service is {report.service_health}"
    parts = [head, _cell(report.detail)]
    if report.lost:
        parts.append("\n".join(f"- callers lose, {_cell(one)}" for one in report.lost))
    if report.proof is None:
        return "\n\n".join(parts)
    proof, met = report.proof, report.proof.availability
    marker = f"`{proof.release}` at {proof.url}, {proof.good_answers} times in a row"
    rows = [("version marker", marker)]
    if met is not None:
        failed = f"{met.failed} of {met.requests} requests failed"
        times = f"longest gap {met.longest_gap_ms} ms, p99 {met.p99_ms} ms"
        rows.append(("while traffic moved", f"{failed}, {times}"))
    rows += [(c.name, c.detail or ("passed" if c.passed else "failed")) for c in proof.checks]
    return "\n\n".join([*parts, _table(("proof", "result"), rows)])


def _compared(one: Comparison) -> str:
    where = ", ".join(one.targets)
    if one.note:
        live = f" ({one.live_release} is live)" if one.live_release else ""
        parts = [f"**{where}**: {_cell(one.note)}{live}"]
    else:
        breaking = len(one.breaking)
        verdict = f"{breaking} breaking" if breaking else "none of them breaking"
        parts = [f"**{where}** replaces {one.live_release}: {len(one.changes)} changes, {verdict}"]
    if one.changes:
        rows = (("breaks" if change.breaking else "", change) for change in one.changes)
        parts.append(_table(("", "change"), rows))
    if one.spec_diff:
        parts.append(_fenced("diff", "\n".join(one.spec_diff)))
    return "\n\n".join(parts)


def _table(titles: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = [*titles]
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _fenced(language: str, text: str) -> str:
    """Between fences that are longer than any in the text."""
    longest = max((len(found) for found in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def generation_evidence(filling: Filling) -> str:
    """What became of the holes: who wrote what, in which attempt, and why the others stay open."""
    told = {one.name: str(one) for one in filling.rejected}
    told |= {one.name: str(one) for one in filling.written}
    head = "every rule applied: there was no hole" if not filling.holes else str(filling.ended)
    parts = [f"{head}; contract {filling.contract_digest[:12]}"]
    if filling.holes:
        rows = (
            (label, "written" if name in filling.functions else "501", told.get(name, "not asked"))
            for name, label in filling.holes.items()
        )
        parts.append(_table(("operation", "state", "why"), rows))
    by_hand = [one.name for one in filling.written if one.author is Author.PERSON]
    if by_hand:
        parts.append(f"Edited by hand: {', '.join(f'`{name}`' for name in by_hand)}")
    if filling.tests:
        rows = ((test.path, "counts" if test.kept else "", test.reason) for test in filling.tests)
        parts.append(_table(("extra tests", "", "why"), rows))
    parts += [f"- refused: {_cell(finding)}" for finding in filling.refused]
    versions = ", ".join(f"{name} {version}" for name, version in filling.prompts.items())
    return "\n\n".join([*parts, f"Prompts: {versions}"])


def cost_evidence(cost: BuildCost) -> str:
    """What the language model cost: an attempt a line, the build in the last one."""
    sums = [(f"attempt {number}", one) for number, one in cost.attempts.items()]
    head = ("", "calls", "tokens in", "of them cached", "tokens out", "dollars")
    table = _table(head, (_cost_row(*one) for one in [*sums, ("build", Sum.of(cost.calls))]))
    return f"The ceiling is ${cost.ceiling_dollars:.2f} (`CLAUDE_BUILD_DOLLARS`).\n\n{table}"


def _cost_row(name: str, one: Sum) -> tuple[object, ...]:
    used = one.usage
    prompt = used.input_tokens + used.cache_write_tokens + used.cache_read_tokens
    dollars = "not known" if one.dollars is None else f"{one.dollars:.4f}"
    return name, one.calls, prompt, used.cache_read_tokens, used.output_tokens, dollars
