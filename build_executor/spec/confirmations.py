"""What an answer says beside the record: that it is done, a token, the time."""

from collections.abc import Iterator

from pydantic import JsonValue

from build_executor.spec.accounts import TOKEN_NAMES
from build_executor.spec.contract import Assignment, Resource, Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.instants import moment
from build_executor.spec.naming import snake
from build_executor.spec.shapes import is_type, properties


def answers_of(draft: Draft, resource: Resource | None, done: str) -> Iterator[Assignment]:
    """What an answer says beside the record: `success`, `message`, `deleted`, the time."""
    known = set(properties(resource.shape)) if resource else set()
    noun = resource.singular.replace("_", " ") if resource else "request"
    for name, shape in (properties(draft.response.shape) if draft.response else {}).items():
        if name in known - {"message"}:
            continue
        value = _said(name, shape, f"{noun} {done.replace('_', ' ')}", done)
        if snake(name) in TOKEN_NAMES:
            yield Assignment(field=name, source="token")
        elif value is not None:
            yield Assignment(field=name, source="literal", value=value)
        elif name in {"timestamp", f"{done}_at"}:
            yield moment(name, shape)


def _said(name: str, shape: Shape, sentence: str, done: str) -> JsonValue:
    if name in _CONFIRMATIONS and is_type(shape, "boolean"):
        return True
    if name in {"message", "detail"} and is_type(shape, "string"):
        return sentence
    if name in _TOKEN_FACTS:
        return _TOKEN_FACTS[name]
    return done if name in {"status", "result"} and is_type(shape, "string") else None


_TOKEN_FACTS: dict[str, JsonValue] = {"token_type": "bearer", "expires_in": 86_400}
_CONFIRMATIONS = frozenset({"success", "ok", "deleted", "updated", "acknowledged", "received"})
