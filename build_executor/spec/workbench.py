"""What the operations of one contract share: each adds to it what the contract must say."""

from dataclasses import dataclass, field

from build_executor.spec.contract import Auth, Note, Operation, Resource, Shape
from build_executor.spec.kinds import Kind
from build_executor.spec.python_models import PythonModel
from build_executor.spec.situation import Classified

_RESERVED_NAMES = frozenset(
    [
        "logic",
        "models",
        "router",
        "stream",
        "repository_of",
        "uptime_of",
        "new_id",
        "timestamp",
        "repository",
        "body",
        "query",
        "store",
        "websocket",
        "refuse_states",
        "require_state",
        "record",
        "sent",
        "page",
        "get",
        "post",
        "put",
        "patch",
        "delete",
    ]
)


@dataclass(slots=True)
class Workbench:
    """What the operations of one contract share while they are made."""

    kinds: dict[str, Kind]
    resources: dict[str, Resource]
    models: dict[str, PythonModel]
    service: str
    version: str
    components: dict[str, Shape] = field(default_factory=dict)
    names: set[str] = field(default_factory=lambda: set(_RESERVED_NAMES))
    assumptions: list[Note] = field(default_factory=list)
    gaps: list[Note] = field(default_factory=list)
    auth: Auth | None = None
    creates: dict[str, Operation] = field(default_factory=dict)

    def of(self, member: Classified) -> tuple[Kind, Resource] | None:
        """The kind and resource that an endpoint concerns."""
        if member.collection is None:
            return None
        from_path = next(
            (p for p, kind in self.kinds.items() if any(m is member for m in kind.members)), None
        )
        return (self.kinds[from_path], self.resources[from_path]) if from_path else None
