"""A build begins with what is left of earlier ones, and leaves its own to the next.

Functions that a person edited, and functions that a model wrote when the contract demanded the
same, are taken over: nobody loses work, and nothing is paid for twice.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from build_executor.errors import GenerationFailed, InvalidSettings
from build_executor.generation import put_in_place
from build_executor.generators.claude.code_rules import function_findings
from build_executor.generators.claude.gates import Gates, Judge, function_of
from build_executor.generators.claude.holes import Unfilled, find_holes
from build_executor.generators.claude.prompts import versions
from build_executor.generators.filling import Author, Filled, Filling
from build_executor.hand_edits import (
    Conflict,
    KeptSource,
    demands_of,
    find_edits,
    keep_source,
    read_kept,
    seen,
    take_over,
)
from build_executor.models import Workspace
from build_executor.sandbox import open_sandbox
from build_executor.settings import Settings
from build_executor.spec.contract import Contract

_LOGIC = "app/logic.py"
_LINE = re.compile(r"\bspec_line=\d+")


def confined_gates(order: "Order") -> Judge:
    """The gates, in a sandbox that is fit for what a model wrote; GenerationFailed without one."""
    try:
        sandbox = open_sandbox(order.settings, trusted=False)
    except InvalidSettings as error:
        raise GenerationFailed(str(error)) from error
    return Gates(order.contract, order.workspace, sandbox, order.settings)


@dataclass(frozen=True)
class Order:
    """What is to be filled, where that happens, and who judges it."""

    contract: Contract
    spec: str
    workspace: Workspace
    settings: Settings
    judged_by: Callable[["Order"], Judge] = confined_gates
    clock: Callable[[], float] = time.monotonic

    def open_gates(self) -> Judge:
        """Whoever judges; GenerationFailed if nobody can."""
        return self.judged_by(self)


def begin(order: Order) -> tuple[Filling, tuple[Conflict, ...]]:
    """The account before anything is asked, and a person's edits that cannot be taken over.

    What people edited and what a model wrote for an earlier build is taken over where the contract
    still demands the same. Zero holes end it at once. GenerationFailed for an edit that cannot be.
    """
    unfilled = find_holes(order.contract, order.spec)
    service = order.contract.service
    filling = Filling(
        contract_digest=order.contract.digest,
        holes={hole.name: hole.label for hole in unfilled.holes},
        prompts=versions(),
        seen=seen(service, order.settings),
    )
    conflicts: tuple[Conflict, ...] = ()
    if kept := read_kept(service, order.settings):
        edits = find_edits(kept, order.contract, order.settings)
        filling = take_over(filling, kept, edits, words_of(unfilled))
        conflicts = edits.conflicts
    _refuse_other_signatures(filling, unfilled)
    if not filling.trusted:
        filling = _still_good(filling, order.open_gates(), order.contract)
    ended = "every hole is filled" if filling.holes else "the compiler left no hole"
    return filling.model_copy(update={"ended": None if filling.open else ended}), conflicts


def words_of(unfilled: Unfilled) -> dict[str, str]:
    """What the SPEC says of each hole, and what is demanded of it, wherever it is said."""
    return {hole.name: _LINE.sub("", f"{hole.skeleton}\n{hole.excerpt}") for hole in unfilled.holes}


def _refuse_other_signatures(filling: Filling, unfilled: Unfilled) -> None:
    """A person who fills a hole has to know what its function is called with."""
    functions = filling.functions
    findings = [
        finding
        for hole in unfilled.holes
        if hole.name in functions
        for finding in function_findings(functions[hole.name], hole.skeleton, hole.label)
        if finding.rule == "signature"
    ]
    if findings:
        raise GenerationFailed("a function edited by hand has another signature", findings)


def _still_good(filling: Filling, gates: Judge, contract: Contract) -> Filling:
    """Without a model's earlier functions that the gates blame now."""
    findings = gates.judge(filling.functions)
    blamed = {function_of(finding, contract) for finding in findings}
    bad = [w for w in filling.written if w.attempt is None and w.author is Author.CLAUDE]
    bad = [one for one in bad if one.name in blamed or not blamed - {None}] if findings else []
    kept = tuple(one for one in filling.written if one not in bad)
    return filling.model_copy(update={"written": kept})


def keep(order: Order, filling: Filling) -> bool:
    """Leave a completed build's functions to the next one; False if a person was at them."""
    own = tuple(one for one in filling.written if one.author is Author.CLAUDE)
    purely_generated = filling.model_copy(update={"written": own, "helpers": (), "tests": ()})
    scratch = Workspace(
        build_id=order.workspace.build_id,
        service=order.workspace.service,
        path=order.workspace.path / "as-generated",
    )
    scratch.source.mkdir(parents=True, exist_ok=True, mode=0o700)
    put_in_place(purely_generated.settled(order.contract), scratch, Filled(purely_generated))
    record = KeptSource(
        build_id=order.workspace.build_id,
        logic=(scratch.source / _LOGIC).read_text(),
        demands=demands_of(order.contract),
        words=words_of(find_holes(order.contract, order.spec)),
        written=filling.written,
    )
    left = (order.workspace.source / _LOGIC).read_text()
    return keep_source(record, left, order.contract.service, order.settings, filling.seen)
