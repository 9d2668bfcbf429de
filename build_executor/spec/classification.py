"""Which rule implements an endpoint: the first of a list of rules that recognises it.

A rule looks at the method, the path, and what is said of the answer. What no rule recognises stays
a stub that says so: a wrong guess is worse than an honest 501.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from build_executor.spec.accounts import Accounts
from build_executor.spec.bodies import response_shape
from build_executor.spec.drafts import Draft
from build_executor.spec.naming import is_plural, plural, singular, snake
from build_executor.spec.places import (
    MODIFIERS,
    Collection,
    is_parameter,
    normal,
    segments,
    split_item,
)
from build_executor.spec.shapes import is_array, is_type, properties
from build_executor.spec.verbs import ENTRY_VERBS, is_known_verb

_AGGREGATES = re.compile(r"stat|summar|count|metric|overview|dashboard|total|analytic|aggregate")
_STEM = 4  # `verification_id` is the id of what `/verify` keeps
_VIEWS = frozenset(
    {"status", "details", "detail", "info", "report", "result", "results", "summary"}
)


@dataclass(frozen=True, slots=True)
class Classified:
    """A draft with its rule and the collection whose records it concerns."""

    draft: Draft
    rule: str
    collection: Collection | None = None
    verb: str = ""
    list_key: str | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What the rules know of the other endpoints."""

    drafts: tuple[Draft, ...]
    collections: Mapping[str, Collection]
    accounts: Accounts | None = None

    def at(self, path: str) -> Collection | None:
        """The collection at a path, whatever its parameters are called."""
        return self.collections.get(normal(path))

    def by_noun(self, noun: str) -> Collection | None:
        """The collection of this name, unless two have it."""
        found = [c for c in self.collections.values() if c.noun == noun]
        return found[0] if len(found) == 1 else None

    def has(self, method: str, path: str) -> bool:
        """Whether there is such an endpoint."""
        return any(d.method == method and normal(d.path) == normal(path) for d in self.drafts)


def classify(draft: Draft, situation: Situation) -> Classified:
    """The draft with the rule that implements it; "stub" if none does."""
    for rule in _RULES:
        found = rule(draft, situation)
        if found is not None:
            return found
    return Classified(draft, "stub")


def list_key(draft: Draft) -> str | None:
    """The key of an answer that holds the list, if exactly one plausible key does."""
    fields = properties(response_shape(draft))
    if draft.response and is_array(draft.response.shape):
        return None
    lists = [name for name, shape in fields.items() if is_type(shape, "array")]
    objects = [n for n in lists if is_type_of_items(fields[n], "object")]
    return next(iter(objects or lists), None)


def is_type_of_items(shape: Mapping[str, object], kind: str) -> bool:
    """Whether the shape is a list of such values, or of unknown ones."""
    items = shape.get("items")
    return not items or (isinstance(items, dict) and (is_type(items, kind) or "$ref" in items))


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


def _item(draft: Draft, situation: Situation) -> Classified | None:
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


def _below_item(draft: Draft, situation: Situation) -> Classified | None:
    split = split_item(draft.path)
    if split is None or len(split[2]) != 1 or situation.at(split[0]) is None:
        return None
    own, parent, tail = situation.at(draft.path), situation.at(split[0]), split[2][0]
    if own is not None and (own.parameter or _reads_as_list(draft, situation)):
        return _at_collection(draft, own)
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
    if _AGGREGATES.search(tail) and tail not in _VIEWS:
        return Classified(draft, "counters", parent, tail)
    if draft.query and tail not in _VIEWS:
        return Classified(draft, "stub", None, tail)  # a computation: it depends on the query
    if tail in _VIEWS or (draft.response and properties(draft.response.shape)):
        return Classified(draft, "read", parent, tail)
    return Classified(draft, "field", parent, tail)


def _at_collection(draft: Draft, collection: Collection) -> Classified | None:
    match draft.method:
        case "GET":
            return Classified(draft, "list", collection, list_key=list_key(draft))
        case "POST":
            return Classified(draft, "create", collection)
        case _:
            return None


def _collection(draft: Draft, situation: Situation) -> Classified | None:
    collection = situation.at(draft.path)
    if collection is None or is_parameter((segments(draft.path) or ["{}"])[-1]):
        return None
    return _at_collection(draft, collection)


def _batch(draft: Draft, situation: Situation) -> Classified | None:
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


def _entry_verb(draft: Draft, situation: Situation) -> Classified | None:
    """`POST /builds/submit` creates a build, where builds are known or the answer has an id."""
    parts = segments(draft.path)
    if draft.method != "POST" or len(parts) < 2 or parts[-1] not in ENTRY_VERBS:  # noqa: PLR2004 - noun and verb
        return None
    path = "/" + "/".join(parts[:-1])
    collection = situation.at(path)
    if collection is None and not is_parameter(parts[-2]) and _returned_ids(draft):
        collection = Collection(path, None)
    return Classified(draft, "create", collection) if collection else None


def _returned_ids(draft: Draft) -> list[str]:
    fields = list(properties(draft.response.shape)) if draft.response else draft.outputs
    return [name for name in fields if name == "id" or name.endswith("_id")]


def _by_returned_id(draft: Draft, situation: Situation) -> Classified | None:
    """A POST that answers with the id of a known collection's items makes one."""
    if draft.method != "POST" or "{" in draft.path:
        return None
    sent = set(properties(draft.request.shape)) if draft.request else set(draft.inputs)
    for name in _returned_ids(draft):
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
    for name in _returned_ids(draft):
        noun = plural(name.removesuffix("_id"))
        if name != "id" and name not in sent and noun in listed:
            return Classified(draft, "create", Collection(f"/{noun}", None))
    return None


def _listing(draft: Draft, situation: Situation) -> Classified | None:
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
    if parent is not None and (key or _is_list(draft)) and not _AGGREGATES.search(parts[-1]):
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
        for name in _returned_ids(other)
    }
    if noun in named | made or any(word.endswith(f"_{noun}") for word in named):
        return Classified(draft, "list", Collection(f"/{noun}", None), list_key=key)
    return None


def _is_list(draft: Draft) -> bool:
    return bool(draft.response and is_array(draft.response.shape)) or bool(
        re.match(r"(?:list|array|get all|all)\b", draft.text)
        or (segments(draft.path)[-1:] and segments(draft.path)[-1] in MODIFIERS)
    )


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
    _item,
    _below_item,
    _batch,
    _entry_verb,
    _collection,
    _by_returned_id,
    _listing,
    _information,
    _counters,
)
