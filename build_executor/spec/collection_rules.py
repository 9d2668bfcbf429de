"""Rules for a collection itself: it lists, and it creates."""

from build_executor.spec.answer_clues import list_key
from build_executor.spec.drafts import Draft
from build_executor.spec.places import Collection, is_parameter, segments
from build_executor.spec.situation import Classified, Situation


def at_collection(draft: Draft, collection: Collection) -> Classified | None:
    """What the method does at the path of a collection."""
    match draft.method:
        case "GET":
            return Classified(draft, "list", collection, list_key=list_key(draft))
        case "POST":
            return Classified(draft, "create", collection)
        case _:
            return None


def collection_rule(draft: Draft, situation: Situation) -> Classified | None:
    """The path of a known collection lists it or adds to it."""
    collection = situation.at(draft.path)
    if collection is None or is_parameter((segments(draft.path) or ["{}"])[-1]):
        return None
    return at_collection(draft, collection)
