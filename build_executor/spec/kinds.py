"""A kind of record while it is put together from the endpoints that concern it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import JsonValue

from build_executor.spec.contract import Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.naming import singular
from build_executor.spec.places import Collection
from build_executor.spec.python_models import PythonModel
from build_executor.spec.shapes import is_type, properties
from build_executor.spec.situation import Classified


@dataclass(slots=True)
class Kind:
    """One resource while it is put together."""

    collection: Collection
    name: str
    members: list[Classified] = field(default_factory=list)
    fields: dict[str, Shape] = field(default_factory=dict)
    needed: set[str] = field(default_factory=set)
    model: PythonModel | None = None
    promised: set[str] = field(default_factory=set)
    """Fields that a declared answer always has."""
    assumes_status: bool = False
    """Whether its verbs need a status that the SPEC does not name."""

    def of_rule(self, *rules: str) -> list[Draft]:
        """The drafts of these rules."""
        return [member.draft for member in self.members if member.rule in rules]


DECISIONS = frozenset({"approved", "accepted", "accept", "approve", "confirmed"})


def wrapper_of(kind: Kind, fields: dict[str, Shape]) -> str | None:
    """The key that an answer wraps the record in, if it does."""
    noun = singular(kind.name)
    for name, shape in fields.items():
        inner = properties(shape) if is_type(shape, "object") else {}
        has_id = "id" in inner or f"{noun}_id" in inner or kind.collection.parameter in inner
        if name in {noun, "data", "item", "result"} and has_id:
            return name
    return None


def examples_of(kind: Kind) -> Iterable[dict[str, JsonValue]]:
    """The records that the answers show, one by one."""
    for member in kind.members:
        body = member.draft.response
        if body is None or not isinstance(body.example, dict):
            continue
        yield body.example
        items = body.example.get(member.list_key or "")
        if isinstance(items, list):
            yield from (item for item in items if isinstance(item, dict))
