"""What a rule is given to judge an endpoint by, and what it says of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from build_executor.spec.accounts import Accounts
from build_executor.spec.drafts import Draft
from build_executor.spec.places import Collection, normal


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
