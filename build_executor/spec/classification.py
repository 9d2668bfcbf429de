"""Which rule implements an endpoint: the first of a list of rules that recognises it.

A rule looks at the method, the path, and what is said of the answer. What no rule recognises stays
a stub that says so: a wrong guess is worse than an honest 501.
"""

from collections.abc import Callable

from build_executor.spec.collection_rules import collection_rule
from build_executor.spec.creation_rules import batch_rule, entry_verb_rule, returned_id_rule
from build_executor.spec.drafts import Draft
from build_executor.spec.item_rules import below_item_rule, item_rule
from build_executor.spec.listing_rules import listing_rule
from build_executor.spec.places import segments
from build_executor.spec.situation import Classified, Situation


def classify(draft: Draft, situation: Situation) -> Classified:
    """The draft with the rule that implements it; "stub" if none does."""
    for rule in _RULES:
        found = rule(draft, situation)
        if found is not None:
            return found
    return Classified(draft, "stub")


def _stream(draft: Draft, _situation: Situation) -> Classified | None:
    return Classified(draft, "stream") if draft.is_stream else None


def _account(draft: Draft, situation: Situation) -> Classified | None:
    """Signing up, in and out, and reading one's own account."""
    accounts = situation.accounts
    rule = accounts.rule_of(draft) if accounts else None
    return Classified(draft, rule, accounts.users) if accounts and rule else None


def _proxy(draft: Draft, _situation: Situation) -> Classified | None:
    """Endpoints of any method or with a whole path as parameter stand for other services."""
    return Classified(draft, "stub") if draft.method in {"ANY", "HEAD", "OPTIONS"} else None


def _information(draft: Draft, _situation: Situation) -> Classified | None:
    return Classified(draft, "information") if (draft.method, draft.path) == ("GET", "/") else None


def _counters(draft: Draft, situation: Situation) -> Classified | None:
    if draft.method != "GET" or "{" in draft.path:
        return None
    parts = segments(draft.path)
    parent = situation.at("/" + "/".join(parts[:-1])) if len(parts) > 1 else None
    return Classified(draft, "counters", parent, parts[-1])


_RULES: tuple[Callable[[Draft, Situation], Classified | None], ...] = (
    _stream,
    _proxy,
    _account,
    item_rule,
    below_item_rule,
    batch_rule,
    entry_verb_rule,
    collection_rule,
    returned_id_rule,
    listing_rule,
    _information,
    _counters,
)
