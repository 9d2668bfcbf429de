"""Where a path points: at a collection, at one of its items, or at something below an item."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from build_executor.spec.drafts import Draft
from build_executor.spec.naming import is_plural, plural, singular, snake
from build_executor.spec.shapes import properties

_PREFIXES = frozenset({"api", "rest", "public", "internal"})
_VERSION = re.compile(r"v\d+(?:\.\d+)?")
MODIFIERS = frozenset(
    {"active", "recent", "all", "list", "search", "pending", "latest", "find", "query"}
)


@dataclass(frozen=True, slots=True)
class Collection:
    """A path below which items are addressed by one parameter."""

    path: str
    parameter: str | None
    parents: tuple[tuple[str, str], ...] = ()
    """Path parameters above it, each with the collection's path it identifies an item of."""

    @property
    def noun(self) -> str:
        """The resource's name, in plural."""
        literals = [part for part in self.path.split("/") if part and not part.startswith("{")]
        meaningful = [part for part in literals if not is_prefix(part)] or literals or ["items"]
        return plural(snake(meaningful[-1]))

    @property
    def singular(self) -> str:
        """One of them."""
        return singular(self.noun)


def is_prefix(segment: str) -> bool:
    """Whether the segment only says that this is an API, such as `api` or `v1`."""
    return segment in _PREFIXES or bool(_VERSION.fullmatch(segment))


def segments(path: str) -> list[str]:
    """The parts of a path."""
    return [part for part in path.split("/") if part]


def is_parameter(segment: str) -> bool:
    """Whether the segment is a `{parameter}` as a whole."""
    return segment.startswith("{") and segment.endswith("}")


def normal(path: str) -> str:
    """The path with nameless parameters."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def split_item(path: str) -> tuple[str, str, tuple[str, ...]] | None:
    """(collection's path, parameter, what follows) of the last parameter in a path."""
    parts = segments(path)
    for index in range(len(parts) - 1, 0, -1):
        if is_parameter(parts[index]):
            if is_parameter(parts[index - 1]):
                return None
            collection = "/" + "/".join(parts[:index])
            return collection, parts[index][1:-1], tuple(parts[index + 1 :])
    return None


def find_collections(drafts: Iterable[Draft]) -> dict[str, Collection]:
    """All collections by their nameless path: those with items and those that something lists."""
    found: dict[str, Collection] = {}
    drafts = list(drafts)
    for draft in drafts:
        if draft.is_stream:
            continue
        _add_chain(found, draft.path)
    for draft in drafts:
        if draft.method == "POST" and _is_collection_name(draft.path):
            found.setdefault(normal(draft.path), Collection(draft.path, None, _above(draft.path)))
    for collection in list(found.values()):
        _join_nested(found, collection, drafts)
    return found


def _join_nested(found: dict[str, Collection], flat: Collection, drafts: list[Draft]) -> None:
    """`/rooms/{room_id}/bookings` holds what `/bookings/{booking_id}` reads: one collection.

    Not if a booking could be made without its room, and not if both have items of their own.
    """
    if flat.parents:
        return
    nested = {
        normal(draft.path): _above(draft.path)
        for draft in drafts
        if draft.method in {"GET", "POST"} and _is_nested(draft.path, flat, found)
    }
    parents = tuple(dict.fromkeys(parent for above in nested.values() for parent in above))
    makers = [d for d in drafts if d.method == "POST" and normal(d.path) in nested]
    senders = [d for d in drafts if d.method == "POST" and normal(d.path) == normal(flat.path)]
    is_whole = all({name for name, _ in parents} <= _sent(draft) for draft in senders)
    if nested and is_whole and (senders or makers) and (len(nested) == 1 or not makers):
        whole = Collection(flat.path, flat.parameter, parents)
        found.update(dict.fromkeys([normal(flat.path), *nested], whole))


def _is_nested(path: str, flat: Collection, found: dict[str, Collection]) -> bool:
    split = split_item(path)
    if split is None or len(split[2]) != 1 or normal(split[0]) not in found:
        return False
    own = found.get(normal(path))
    is_same = plural(snake(split[2][0])) == flat.noun and is_plural(snake(split[2][0]))
    return is_same and (own is None or own.parameter is None)


def _sent(draft: Draft) -> set[str]:
    return set(properties(draft.request.shape)) if draft.request else set(draft.inputs)


def _add_chain(found: dict[str, Collection], path: str) -> None:
    parts = segments(path)
    for end in range(2, len(parts) + 1):
        item = split_item("/" + "/".join(parts[:end]))
        if item is not None and not item[2]:
            known = found.get(normal(item[0]))
            if known is None or known.parameter is None:
                found[normal(item[0])] = Collection(item[0], item[1], _above(item[0]))


def _above(path: str) -> tuple[tuple[str, str], ...]:
    parts = segments(path)
    return tuple(
        (part[1:-1], normal("/" + "/".join(parts[:index])))
        for index, part in enumerate(parts)
        if is_parameter(part) and index
    )


def _is_collection_name(path: str) -> bool:
    last = (segments(path) or [""])[-1]
    return not is_parameter(last) and plural(snake(last)) == snake(last) and last not in MODIFIERS
