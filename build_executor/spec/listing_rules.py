"""Rules for lists that are not at the collection itself: `/orders/recent`, `/audit/log`."""

import re

from build_executor.spec.answer_clues import AGGREGATES, list_key, returned_ids
from build_executor.spec.drafts import Draft
from build_executor.spec.naming import plural, snake
from build_executor.spec.places import MODIFIERS, Collection, segments
from build_executor.spec.shapes import is_array
from build_executor.spec.situation import Classified, Situation


def listing_rule(draft: Draft, situation: Situation) -> Classified | None:
    """A GET that answers with a list of a known noun: `/verify/recent`, `/treasury/history`."""
    if draft.method != "GET":
        return None
    key = list_key(draft)
    names = [snake(key)] if key else []
    names.extend(snake(part) for part in reversed(segments(draft.path)[-1:]))
    for name in names:
        collection = situation.by_noun(plural(name))
        if collection is not None and (key or _is_list(draft)):
            return Classified(draft, "list", collection, list_key=key)
    parts = segments(draft.path)
    parent = situation.at("/" + "/".join(parts[:-1])) if len(parts) > 1 else None
    if parent is not None and (key or _is_list(draft)) and not AGGREGATES.search(parts[-1]):
        return Classified(draft, "list", parent, parts[-1], list_key=key)
    return _listing_of_others(draft, key, situation)


def _listing_of_others(draft: Draft, key: str | None, situation: Situation) -> Classified | None:
    """A list of what another endpoint answers an id of, or of what the path itself names."""
    if key is None or "{" in draft.path:
        return None
    noun = plural(snake(key))
    named = {plural(snake(part)) for part in segments(draft.path)}
    made = {
        plural(name.removesuffix("_id"))
        for other in situation.drafts
        if other.method == "POST"
        for name in returned_ids(other)
    }
    if noun in named | made or any(word.endswith(f"_{noun}") for word in named):
        return Classified(draft, "list", Collection(f"/{noun}", None), list_key=key)
    return None


def _is_list(draft: Draft) -> bool:
    return bool(draft.response and is_array(draft.response.shape)) or bool(
        re.match(r"(?:list|array|get all|all)\b", draft.text)
        or (segments(draft.path)[-1:] and segments(draft.path)[-1] in MODIFIERS)
    )
