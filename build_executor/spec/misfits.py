"""Bodies that cannot be a record's: better a stub that says why than records of a wrong form."""

from typing import cast

from build_executor.spec.contract import Shape
from build_executor.spec.shapes import is_array, is_type
from build_executor.spec.situation import Classified

_CHANGES = frozenset({"create", "replace", "update", "transition"})


def misfit_of(member: Classified) -> str | None:
    """Why the bodies cannot be a record's, if they cannot."""
    draft = member.draft
    sent = draft.request.shape if draft.request else {}
    if draft.media_type != "application/json":
        return f"it speaks {draft.media_type}, and nothing says how that is made or read"
    if member.rule in _CHANGES and not _is_record(sent):
        return "its body is no object: nothing says what record it makes"
    answer = draft.response.shape if draft.response and draft.exact else {}
    if member.rule in _CHANGES | {"read"} and not _is_record(answer):
        return "the answer that is declared is no object: nothing says how it is made of a record"
    if member.rule == "list" and not _is_listing(answer, member):
        return "the answer that is declared holds no list of records"
    return None


def _is_record(shape: Shape) -> bool:
    return is_type(shape, "object") or "type" not in shape


def _is_listing(answer: Shape, member: Classified) -> bool:
    if is_array(answer):
        return _is_record(cast("Shape", answer.get("items") or {}))
    return member.list_key is not None or is_free(answer)


def is_free(shape: Shape) -> bool:
    """Whether it says nothing but, at most, that it is an object."""
    return _is_record(shape) and shape.keys() <= {"type", "description"}
