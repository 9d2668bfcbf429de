"""What a change of a JSON Schema means for those who relied on the old one.

The values that one side gives have to stay among those that the other side takes: a request's shape
may grow, an answer's may shrink. What cannot be decided counts as a change that may break somebody.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple, cast

from pydantic import JsonValue

from build_executor.models import Value
from build_executor.spec.contract import Shape
from build_executor.spec.shape_limits import LIMIT_WORDS, exceeded_limits
from build_executor.spec.shapes import required, resolved

Components = Mapping[str, Shape]

_COMPARED = LIMIT_WORDS | {
    *("$ref", "type", "enum", "properties", "required", "items", "additionalProperties"),
}
_SAYS_NOTHING = frozenset(
    {"title", "description", "default", "example", "examples", "deprecated", "externalDocs", "xml"}
    | {"readOnly", "writeOnly", "discriminator", "$comment"}
)
_DEEPEST = 8
_UNDECIDED: Shape = {"not": {}}
_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
_JSON_TYPES |= {list: "array", dict: "object", type(None): "null"}


class Direction(StrEnum):
    """Whether the callers give the values, or the service."""

    REQUEST = "request"
    RESPONSE = "response"


class Problem(StrEnum):
    """How the new shape differs from the old one, as far as the other side can notice."""

    ADDED = "added"
    GONE = "gone"
    REQUIRED = "required"
    NULL = "null"
    TYPE = "type"
    VALUES = "values"
    LIMIT = "limit"
    UNCLEAR = "unclear"


class Difference(Value):
    """One difference; the path is empty where the whole value is meant."""

    problem: Problem
    path: str = ""
    detail: str = ""

    @property
    def breaking(self) -> bool:
        """Whether somebody who relied on the old shape may notice."""
        return self.problem is not Problem.ADDED


class Versions(NamedTuple):
    """The named shapes of the old contract and of the new one."""

    old: Components
    new: Components


Differences = tuple[Difference, ...]


def shape_differences(
    old: Shape, new: Shape, direction: Direction, components: Versions
) -> Differences:
    """How `new` differs from `old` for the other side; each difference once, in order."""
    sides = _Sides(old, new) if direction is Direction.REQUEST else _Sides(new, old)
    found = _Comparer(direction, components).compare(sides)
    return tuple(dict.fromkeys(found))


class _Sides(NamedTuple):
    """Callers give old requests, and the new service takes new ones; with answers it gives them."""

    given: Shape
    taken: Shape


class _Comparer:
    def __init__(self, direction: Direction, components: Versions) -> None:
        self._is_request = direction is Direction.REQUEST
        self._components = components
        self._known: dict[str, Differences] = {}

    def compare(self, sides: _Sides) -> Differences:
        """Each alternative that is given has to be taken; a shape within itself adds nothing."""
        key = json.dumps(sides, sort_keys=True)
        if key not in self._known:
            self._known[key] = ()
            old, new = self._components
            given = _alternatives(sides.given, old if self._is_request else new)
            taken = _alternatives(sides.taken, new if self._is_request else old)
            self._known[key] = tuple(
                difference for one in given for difference in self._least(one, taken)
            )
        return self._known[key]

    def _least(self, given: Shape, taken: list[Shape]) -> Differences:
        nothing = (Difference(problem=Problem.UNCLEAR, detail="type"),)
        found = (self._differences(_Sides(given, one)) for one in taken)
        return min(found, key=_severity, default=nothing)

    def _differences(self, sides: _Sides) -> Differences:
        if not sides.taken.keys() - _SAYS_NOTHING:
            return ()  # anything is taken
        if kind := self._of_kind(sides):
            return (kind,)
        return (
            *_of_values(sides),
            *_of_limits(sides),
            *self._of_other_words(sides),
            *self._of_fields(sides),
            *self._of_items(sides),
        )

    def _of_kind(self, sides: _Sides) -> Difference | None:
        given, taken = (str(side.get("type", "any value")) for side in sides)
        if taken in {given, "any value"} or (given, taken) == ("integer", "number"):
            return None
        if given == "null":
            return Difference(problem=Problem.NULL)
        old, new = (given, taken) if self._is_request else (taken, given)
        return Difference(problem=Problem.TYPE, detail=f"from {old} to {new}")

    def _of_other_words(self, sides: _Sides) -> Iterator[Difference]:
        """A word that is not understood here must be the same, and so must what it refers to."""
        for word in sorted(sides.taken.keys() - _COMPARED - _SAYS_NOTHING):
            refers = "$ref" in json.dumps(sides.taken[word])
            is_same = sides.given.get(word) == sides.taken[word]
            if not is_same or (refers and self._components.old != self._components.new):
                yield Difference(problem=Problem.UNCLEAR, detail=word)

    def _of_fields(self, sides: _Sides) -> Iterator[Difference]:
        gone: set[str] = set()
        for name in dict.fromkeys([*_fields(sides.taken), *_fields(sides.given)]):
            given, taken = (_field(side, name) for side in sides)
            if given is not None and taken is not None:
                yield from _within(name, self.compare(_Sides(given, taken)))
            elif (taken if self._is_request else given) is None:
                gone.add(name)
                yield Difference(problem=Problem.GONE, path=name)
            elif name not in required(sides.taken):
                yield Difference(problem=Problem.ADDED, path=name)
        yield from _of_required(sides, gone)
        yield from self._of_unnamed_fields(sides)

    def _of_unnamed_fields(self, sides: _Sides) -> Iterator[Difference]:
        given, taken = (_unnamed(side) for side in sides)
        if given is not None and taken is not None:
            yield from _within("*", self.compare(_Sides(given, taken)))
        closed = [side.get("additionalProperties") is False for side in sides]
        if self._is_request and closed == [False, True]:
            yield Difference(problem=Problem.UNCLEAR, detail="additionalProperties")

    def _of_items(self, sides: _Sides) -> Iterator[Difference]:
        given, taken = (cast("Shape", side.get("items") or {}) for side in sides)
        yield from _within("[]", self.compare(_Sides(given, taken)))


def _of_values(sides: _Sides) -> Iterator[Difference]:
    if "enum" not in sides.taken:
        return
    given, taken = (cast("list[JsonValue]", side.get("enum") or []) for side in sides)
    extra = [json.dumps(value) for value in given if value is not None and value not in taken]
    if extra or not given:
        yield Difference(problem=Problem.VALUES, detail=", ".join(extra) or "other values")


def _of_limits(sides: _Sides) -> Iterator[Difference]:
    for limit in exceeded_limits(*sides):
        yield Difference(problem=Problem.LIMIT, detail=limit)


def _of_required(sides: _Sides, gone: Collection[str]) -> Iterator[Difference]:
    for name in required(sides.taken):
        if name not in gone and name not in required(sides.given):
            yield Difference(problem=Problem.REQUIRED, path=name)


def _within(name: str, differences: Differences) -> Iterator[Difference]:
    for found in differences:
        joint = "" if not found.path or found.path.startswith("[]") else "."
        yield found.model_copy(update={"path": f"{name}{joint}{found.path}"})


def _severity(differences: Differences) -> tuple[bool, int, int]:
    """An alternative of the same type is the one that is meant, however much it differs."""
    kinds = {Problem.TYPE, Problem.NULL}
    is_other_kind = any(not found.path and found.problem in kinds for found in differences)
    return is_other_kind, sum(found.breaking for found in differences), len(differences)


def _alternatives(shape: Shape, components: Components, depth: int = 0) -> list[Shape]:
    """Shapes of one type each that together are this one; what is too deep is left undecided."""
    whole = resolved(shape, components)
    options = whole.get("anyOf")
    if isinstance(options, list) and whole.keys() - _SAYS_NOTHING == {"anyOf"}:
        if depth > _DEEPEST:
            return [_UNDECIDED]
        parts = (_alternatives(cast("Shape", o), components, depth + 1) for o in options)
        return [alternative for part in parts for alternative in part]
    types = whole.get("type", _types_of(whole.get("enum")))
    return [_of_type(one, whole) for one in types] if isinstance(types, list) else [whole]


def _of_type(one: JsonValue, whole: Shape) -> Shape:
    """What limits the other types says nothing of null."""
    allows_null = None in cast("list[JsonValue]", whole.get("enum", [None]))
    return {"type": "null"} if one == "null" and allows_null else {**whole, "type": one}


def _types_of(values: JsonValue) -> JsonValue:
    if not isinstance(values, list):
        return None
    return [*dict.fromkeys(_JSON_TYPES[type(value)] for value in values)]


def _fields(shape: Shape) -> dict[str, Shape]:
    return cast("dict[str, Shape]", shape.get("properties") or {})


def _field(shape: Shape, name: str) -> Shape | None:
    """The shape of this field; None if there is no such field."""
    return _fields(shape).get(name, _unnamed(shape))


def _unnamed(shape: Shape) -> Shape | None:
    """The shape of fields that are not named; None where only named ones are meant to be."""
    others = shape.get("additionalProperties", "properties" not in shape)
    if isinstance(others, dict):
        return others
    return {} if others else None
