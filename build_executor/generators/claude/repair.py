"""What a model wrote passed every gate, and the build or the running copy failed all the same.

The model is told what happened, once. A function that it cannot repair is dropped, and its
operation answers as it would have without a model: what a model writes never costs a build that
the compiler's own code would have completed.
"""

import logging
from collections.abc import Mapping, Sequence

from build_executor.errors import CostCeilingReached, ModelUnavailable
from build_executor.generators.claude.code_rules import function_findings
from build_executor.generators.claude.earlier_work import Order
from build_executor.generators.claude.holes import find_holes
from build_executor.generators.claude.questions import fix_question, stable_part
from build_executor.generators.filling import Author, Filling, Rejected, Written
from build_executor.generators.model import Model
from build_executor.models import Finding

_MOST_FINDINGS = 30
_log = logging.getLogger(__name__)


def repair(
    order: Order, filling: Filling, findings: Sequence[Finding], model: Model | None
) -> Filling | None:
    """The account with the blamed functions repaired or dropped; None if none is to blame.

    Without a model they are dropped.
    """
    blamed = _blamed(order, filling, findings)
    if not blamed:
        return None
    texts = {} if model is None else _asked(order, blamed, findings, model)
    whole = {**filling.functions, **texts}
    repaired = texts if texts and not order.open_gates().judge(whole) else {}
    dropped = [one for name, one in blamed.items() if name not in repaired]
    for one in dropped:
        _log.warning("%s is dropped: the service fails with it", one.name)
    return _without(filling, dropped, findings, repaired)


def _without(
    filling: Filling,
    dropped: Sequence[Written],
    findings: Sequence[Finding],
    repaired: Mapping[str, str],
) -> Filling:
    lost = {one.name for one in dropped}
    told = tuple(dict.fromkeys(findings))[:_MOST_FINDINGS]
    return filling.model_copy(
        update={
            "written": tuple(
                one.model_copy(update={"text": repaired.get(one.name, one.text)})
                for one in filling.written
                if one.name not in lost
            ),
            "rejected": (
                *filling.rejected,
                *(Rejected(name=one.name, text=one.text, findings=told) for one in dropped),
            ),
            "tests": tuple(test for test in filling.tests if test.function not in lost),
        }
    )


def _blamed(order: Order, filling: Filling, findings: Sequence[Finding]) -> dict[str, Written]:
    """The model's functions that the findings name; all of them if these name no operation."""
    own = {one.name: one for one in filling.written if one.author is Author.CLAUDE}
    labels = {o.name: o.label for o in order.contract.business if o.name in own}
    named = [
        name
        for name, label in labels.items()
        if any(label in str(finding) or name in str(finding) for finding in findings)
    ]
    if not named and not any(finding.operation for finding in findings):
        return own
    return {name: own[name] for name in named}


def _asked(
    order: Order, blamed: Mapping[str, Written], findings: Sequence[Finding], model: Model
) -> dict[str, str]:
    """The model's second thoughts, as far as they keep to the rules."""
    unfilled = find_holes(order.contract, order.spec)
    texts = {name: one.text for name, one in blamed.items()}
    question = fix_question(unfilled, stable_part(unfilled, order.spec), texts, findings)
    try:
        reply = model.ask(question)
    except (ModelUnavailable, CostCeilingReached) as error:
        _log.warning("nothing is repaired: %s", error)
        return {}
    holes = {hole.name: hole for hole in unfilled.holes}
    return {
        name: text
        for name, text in reply.texts("function").items()
        if text.strip() != blamed[name].text.strip()
        and not function_findings(text, holes[name].skeleton, holes[name].label)
    }
