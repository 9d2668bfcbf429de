"""Rules for one record and for what lies below it: `/orders/{id}`, `/orders/{id}/cancel`."""

from build_executor.spec.answer_clues import AGGREGATES, list_key
from build_executor.spec.collection_rules import at_collection
from build_executor.spec.drafts import Draft
from build_executor.spec.naming import is_plural, singular, snake
from build_executor.spec.places import Collection, normal, segments, split_item
from build_executor.spec.shapes import properties
from build_executor.spec.situation import Classified, Situation
from build_executor.spec.verbs import is_known_verb

_VIEWS = frozenset(
    {"status", "details", "detail", "info", "report", "result", "results", "summary"}
)


def item_rule(draft: Draft, situation: Situation) -> Classified | None:
    """The path of one record reads, replaces, updates or deletes it."""
    split = split_item(draft.path)
    if split is None or split[2]:
        return None
    collection = situation.collections[normal(split[0])]
    lookup = _lookup(draft, collection, situation)
    if lookup is not None:
        return lookup
    rules = {"GET": "read", "PUT": "replace", "PATCH": "update", "DELETE": "delete"}
    rule = rules.get(draft.method, "create")
    return Classified(draft, rule, collection)


def _lookup(draft: Draft, collection: Collection, situation: Situation) -> Classified | None:
    """`/deploy/history/{service_name}` lists what `/deploy` keeps, by a field, not by an id."""
    if (
        draft.method != "GET"
        or situation.has("POST", collection.path)
        or draft.path.endswith("id}")
    ):
        return None
    inside = [
        d for d in situation.drafts if normal(d.path).startswith(f"{normal(collection.path)}/{{}}")
    ]
    parent_path = "/" + "/".join(segments(collection.path)[:-1])
    parent = situation.at(parent_path)
    if len(inside) > 1 or parent is None or situation.has("GET", collection.path):
        return None
    return Classified(draft, "list", parent, list_key=list_key(draft))


def below_item_rule(draft: Draft, situation: Situation) -> Classified | None:
    """One word behind a record: a collection of its own, a view of the record, or a verb."""
    split = split_item(draft.path)
    if split is None or len(split[2]) != 1 or situation.at(split[0]) is None:
        return None
    own, parent, tail = situation.at(draft.path), situation.at(split[0]), split[2][0]
    if own is not None and (own.parameter or _reads_as_list(draft, situation)):
        return at_collection(draft, own)
    match draft.method:
        case "GET":
            return _view(draft, parent, tail)
        case "POST":
            return Classified(draft, "transition", parent, tail)
        case "PUT" | "PATCH":
            rule = "transition" if is_known_verb(tail) else "update"
            return Classified(draft, rule, parent, tail)
        case _:
            return Classified(draft, "transition", parent, tail)


def _reads_as_list(draft: Draft, situation: Situation) -> bool:
    """Whether a plural below an item is a collection: something lists it, or it has own ids."""
    last = snake(segments(draft.path)[-1])
    if not is_plural(last):
        return False
    returned = properties(draft.response.shape) if draft.response else {}
    own_id = {f"{singular(last)}_id", "id"} & set(returned)
    return situation.has("GET", draft.path) or bool(own_id)


def _view(draft: Draft, parent: Collection | None, tail: str) -> Classified | None:
    if AGGREGATES.search(tail) and tail not in _VIEWS:
        return Classified(draft, "counters", parent, tail)
    if draft.query and tail not in _VIEWS:
        return Classified(draft, "stub", None, tail)  # a computation: it depends on the query
    if tail in _VIEWS or (draft.response and properties(draft.response.shape)):
        return Classified(draft, "read", parent, tail)
    return Classified(draft, "field", parent, tail)
