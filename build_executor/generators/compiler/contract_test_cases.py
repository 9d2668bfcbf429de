"""What a generated test follows: the life of a record, and how a caller signs in."""

from dataclasses import dataclass, field

from pydantic import JsonValue

from build_executor.spec.contract import Operation, Resource


@dataclass(frozen=True, slots=True)
class Step:
    """One transition to make on a record: its path's code and what is sent."""

    path: str
    method: str
    body: str


@dataclass(frozen=True, slots=True)
class TransitionCase:
    """A transition: how to get into a state that allows it, and what comes of it."""

    name: str
    step: Step
    before: tuple[Step, ...]
    status: int
    field: str | None
    target: str
    is_refused_at_first: bool
    is_refused_twice: bool
    wraps: str | None


@dataclass(frozen=True, slots=True)
class Filter:
    """A query parameter that selects one of two different records."""

    name: str
    field: str


@dataclass(frozen=True, slots=True)
class ListCase:
    """How a resource is listed."""

    name: str
    path: str
    key: str | None
    total: str | None
    limit: str | None
    offset: str | None
    filters: tuple[Filter, ...]
    counters: tuple[str, ...]


@dataclass(slots=True)
class ResourceCase:
    """A resource that can be created and followed."""

    resource: Resource
    create: Operation
    create_path: str
    bodies: tuple[JsonValue, ...]
    parents: list[tuple[str, str, str]] = field(default_factory=list)
    references: list[tuple[str, str, str]] = field(default_factory=list)
    read_path: str | None = None
    read_wraps: str | None = None
    read_owned: bool = False
    compared: tuple[str, ...] = ()
    listing: ListCase | None = None
    update: tuple[str, str, str, str] | None = None
    delete: tuple[str, int] | None = None
    transitions: tuple[TransitionCase, ...] = ()
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """How a test signs up and in."""

    sign_up: str
    sign_up_status: int
    bodies: tuple[JsonValue, ...]
    sign_in: str
    sign_in_status: int
    names: tuple[str, ...]
    token: str
    login_field: str
    password_field: str
