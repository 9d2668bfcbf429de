"""Rules for creates that are not at the collection itself: batches, verbs, returned ids."""

from build_executor.spec.answer_clues import is_type_of_items, list_key, returned_ids
from build_executor.spec.drafts import Draft
from build_executor.spec.naming import plural
from build_executor.spec.places import Collection, is_parameter, normal, segments
from build_executor.spec.shapes import is_type, properties
from build_executor.spec.situation import Classified, Situation
from build_executor.spec.verbs import ENTRY_VERBS

_STEM = 4  # `verification_id` is the id of what `/verify` keeps


def batch_rule(draft: Draft, situation: Situation) -> Classified | None:
    """`POST /tasks/batch` with a list of what `POST /tasks` takes makes all of them."""
    parts = segments(draft.path)
    if draft.method != "POST" or draft.exact or len(parts) < 2 or parts[-1] not in _BATCHES:  # noqa: PLR2004 - noun and word
        return None
    path = "/" + "/".join(parts[:-1])
    collection = situation.at(path)
    if collection is None or not situation.has("POST", path) or "{" in path:
        return None
    sent = properties(draft.request.shape) if draft.request else {}
    lists = [name for name, shape in sent.items() if is_type(shape, "array")]
    if len(lists) != 1 or not is_type_of_items(sent[lists[0]], "object"):
        return None
    return Classified(draft, "batch", collection, lists[0], list_key=list_key(draft))


_BATCHES = frozenset(
    {"batch", "bulk", "batch-create", "bulk-create", "batch_create", "bulk_create"}
)


def entry_verb_rule(draft: Draft, situation: Situation) -> Classified | None:
    """`POST /builds/submit` creates a build, where builds are known or the answer has an id."""
    parts = segments(draft.path)
    if draft.method != "POST" or len(parts) < 2 or parts[-1] not in ENTRY_VERBS:  # noqa: PLR2004 - noun and verb
        return None
    path = "/" + "/".join(parts[:-1])
    collection = situation.at(path)
    if collection is None and not is_parameter(parts[-2]) and returned_ids(draft):
        collection = Collection(path, None)
    return Classified(draft, "create", collection) if collection else None


def returned_id_rule(draft: Draft, situation: Situation) -> Classified | None:
    """A POST that answers with the id of a known collection's items makes one."""
    if draft.method != "POST" or "{" in draft.path:
        return None
    sent = set(properties(draft.request.shape)) if draft.request else set(draft.inputs)
    for name in returned_ids(draft):
        for collection in situation.collections.values():
            if name != "id" and name not in sent and _identifies(name, collection, draft):
                return Classified(draft, "create", collection)
    return _by_listed_noun(draft, situation)


def _identifies(name: str, collection: Collection, draft: Draft) -> bool:
    """Named as the parameter, as the noun, or, right below the collection, much like the noun."""
    if name in {collection.parameter, f"{collection.singular}_id"}:
        return True
    is_below = normal(draft.path).rpartition("/")[0] == normal(collection.path)
    stem = collection.singular[:_STEM]
    return is_below and len(stem) == _STEM and name.startswith(stem)


def _by_listed_noun(draft: Draft, situation: Situation) -> Classified | None:
    """... and so does one that answers with an id whose noun another endpoint lists."""
    sent = set(properties(draft.request.shape)) if draft.request else set(draft.inputs)
    listed = {list_key(other) for other in situation.drafts if other.method == "GET"}
    for name in returned_ids(draft):
        noun = plural(name.removesuffix("_id"))
        if name != "id" and name not in sent and noun in listed:
            return Classified(draft, "create", Collection(f"/{noun}", None))
    return None
