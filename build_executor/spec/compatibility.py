"""What callers of a service notice when a new version of its contract replaces the old one.

Only what a caller can see counts: whether an operation is there, what it takes, what it answers.
A difference whose effect cannot be decided counts as breaking.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from build_executor.models import Value
from build_executor.spec.contract import Contract, Operation, Parameter, Shape
from build_executor.spec.openapi_form import needs_body
from build_executor.spec.shape_changes import (
    Difference,
    Direction,
    Problem,
    Versions,
    shape_differences,
)

_PLACEHOLDER = re.compile(r"\{[^}]*\}")
_STUB = "stub"
_TEXT: Shape = {"type": "string"}

_REQUESTS = {
    Problem.ADDED: "takes {path} too",
    Problem.GONE: "no longer takes {path}",
    Problem.REQUIRED: "{path} is required now",
    Problem.NULL: "{path} may not be null any more",
    Problem.TYPE: "the type of {path} changed {detail}",
    Problem.VALUES: "{path} no longer takes {detail}",
    Problem.LIMIT: "{path} is limited more strictly: {detail}",
    Problem.UNCLEAR: "{path} may be refused: its `{detail}` changed",
}
_ANSWERS = {
    Problem.ADDED: "answers {path} too",
    Problem.GONE: "no longer answers {path}",
    Problem.REQUIRED: "{path} may be missing now",
    Problem.NULL: "{path} may be null now",
    Problem.TYPE: "the type of {path} changed {detail}",
    Problem.VALUES: "{path} may be {detail} now",
    Problem.LIMIT: "{path} may go beyond its old limit: {detail}",
    Problem.UNCLEAR: "{path} may be something else: its `{detail}` changed",
}


class Change(Value):
    """One thing that the new contract does differently, and where the SPECs say so."""

    operation: str = ""
    message: str
    breaking: bool
    old_line: int | None = None
    new_line: int | None = None

    def __str__(self) -> str:
        """One line, such as `GET /pets: no longer answers `tags` (SPEC line 40, was 38)`."""
        subject = f"{self.operation}: " if self.operation else ""
        lines = [f"SPEC line {self.new_line}"] if self.new_line else []
        lines += [f"was line {self.old_line}"] if self.old_line else []
        where = f" ({', '.join(lines)})" if lines else ""
        return f"{subject}{self.message}{where}"


def compare_contracts(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Every change from `old` to `new` that a caller can notice; empty if there is none.

    The UDC is the same in every contract and is not compared.
    """
    olds, news = _by_route(old), _by_route(new)
    shared = [(olds[route], news[route]) for route in olds if route in news]
    gone = [operation for route, operation in olds.items() if route not in news]
    added = [operation for route, operation in news.items() if route not in olds]
    return (
        *_of_the_service(old, new),
        *(_removed(operation) for operation in gone),
        *(change for pair in shared for change in _Pair(*pair, old, new).changes()),
        *(_added(operation) for operation in added),
    )


def _by_route(contract: Contract) -> dict[str, Operation]:
    """By method and path; what a path's parameters are called nobody can see."""
    return {_PLACEHOLDER.sub("{}", operation.label): operation for operation in contract.business}


def _of_the_service(old: Contract, new: Contract) -> Iterator[Change]:
    if new.port is not None and new.port != old.port:
        before = f"port {old.port}" if old.port else "whichever port it was given"
        yield Change(message=f"answers at port {new.port}, no longer at {before}", breaking=True)
    if old.base_path and old.base_path != new.base_path:
        message = f"no longer answers below `{old.base_path}`"
        yield Change(message=message, breaking=True)
    if old.invalid_status != new.invalid_status:
        message = f"refuses invalid requests with {new.invalid_status}, was {old.invalid_status}"
        yield Change(message=message, breaking=True)


def _removed(operation: Operation) -> Change:
    return Change(
        operation=operation.label,
        message="is no longer there",
        breaking=operation.rule != _STUB,
        old_line=operation.spec_line or None,
    )


def _added(operation: Operation) -> Change:
    return Change(
        operation=operation.label,
        message="is new",
        breaking=False,
        new_line=operation.spec_line or None,
    )


class _Pair(NamedTuple):
    """One operation in both contracts."""

    old: Operation
    new: Operation
    old_contract: Contract
    new_contract: Contract

    def changes(self) -> Iterator[Change]:
        if self.old.rule == _STUB:  # whatever it does now, it did nothing before
            if self.new.rule != _STUB:
                yield self._change("is implemented now", breaking=False)
            return
        if self.new.rule == _STUB:
            yield self._change("is not implemented any more: answers 501", breaking=True)
            return
        yield from self._of_the_answer()
        yield from self._of_access()
        yield from self._of_parameters()
        yield from self._of_the_body()
        yield from self._of_the_response()

    def _of_the_answer(self) -> Iterator[Change]:
        if self.old.success_status != self.new.success_status:
            statuses = f"{self.new.success_status}, was {self.old.success_status}"
            yield self._change(f"answers {statuses}", breaking=True)
        if self.old.media_type != self.new.media_type:
            forms = f"`{self.new.media_type}`, was `{self.old.media_type}`"
            yield self._change(f"takes {forms}", breaking=True)

    def _of_access(self) -> Iterator[Change]:
        for message, before, after in (
            ("needs a token", self.old.secured, self.new.secured),
            ("concerns only what the caller made", self.old.owned, self.new.owned),
        ):
            if after and not before:
                yield self._change(f"{message} now", breaking=True)
            elif before and not after:
                yield self._change(f"no longer {message}", breaking=False)
        if lost := self._lost_states():
            yield self._change(f"is refused now in {lost}", breaking=True)

    def _lost_states(self) -> str:
        """The states of a record in which the operation was possible, and is no longer."""
        old, new = self.old.effect, self.new.effect
        if new.allowed_from and not old.allowed_from:
            return f"other states than {_listed(new.allowed_from)}"
        lost = set(new.refused_from) - set(old.refused_from)
        if new.allowed_from:
            lost |= set(old.allowed_from) - set(new.allowed_from)
        return f"the state {_listed(sorted(lost))}" if lost else ""

    def _of_parameters(self) -> Iterator[Change]:
        old, new = _parameters(self.old), _parameters(self.new)
        for key, parameter in new.items():
            if key in old:
                yield from self._of_parameter(old[key], parameter)
            elif parameter.required:
                message = f"{parameter.location} parameter `{parameter.name}` is required now"
                yield self._change(message, breaking=True)
            else:
                message = f"takes the {parameter.location} parameter `{parameter.name}` too"
                yield self._change(message, breaking=False)
        for key, parameter in old.items():
            if key not in new:
                message = f"no longer takes the {parameter.location} parameter `{parameter.name}`"
                yield self._change(message, breaking=True)

    def _of_parameter(self, old: Parameter, new: Parameter) -> Iterator[Change]:
        if new.required and not old.required:
            message = f"{new.location} parameter `{new.name}` is required now"
            yield self._change(message, breaking=True)
        if old.shape.get("default") != new.shape.get("default"):
            before, after = (side.shape.get("default", "nothing") for side in (old, new))
            message = f"without `{new.name}`, {after} is meant; it was {before}"
            yield self._change(message, breaking=False)
        if _takes_any_text(new):
            return
        found = self._differences(old.shape or _TEXT, new.shape, Direction.REQUEST)
        name = f"{new.location} parameter `{new.name}`"
        yield from (self._told(one, _REQUESTS, name) for one in found)

    def _of_the_body(self) -> Iterator[Change]:
        old, new = self.old.request, self.new.request
        if old is not None and new is not None:
            found = self._differences(old, new, Direction.REQUEST)
            yield from (self._told(one, _REQUESTS, "the body") for one in found)
        elif old is not None:
            yield self._change("no longer takes a body", breaking=True)
        elif new is not None:
            is_needed = needs_body(self.new, self.new_contract.components)
            message = "needs a body now" if is_needed else "takes a body too"
            yield self._change(message, breaking=is_needed)

    def _of_the_response(self) -> Iterator[Change]:
        old, new = self.old.response, self.new.response
        if old is not None and new is not None:
            found = self._differences(old, new, Direction.RESPONSE)
            yield from (self._told(one, _ANSWERS, "the answer") for one in found)
        elif old is not None:
            yield self._change("no longer answers with a body", breaking=True)

    def _differences(self, old: Shape, new: Shape, way: Direction) -> tuple[Difference, ...]:
        components = Versions(self.old_contract.components, self.new_contract.components)
        return shape_differences(old, new, way, components)

    def _told(self, found: Difference, sentences: dict[Problem, str], whole: str) -> Change:
        path = f"`{found.path}`" if found.path else whole
        message = sentences[found.problem].format(path=path, detail=found.detail)
        return self._change(message, breaking=found.breaking)

    def _change(self, message: str, *, breaking: bool) -> Change:
        return Change(
            operation=self.new.label,
            message=message,
            breaking=breaking,
            old_line=self.old.spec_line or None,
            new_line=self.new.spec_line or None,
        )


def _listed(states: Iterable[str]) -> str:
    return ", ".join(f"`{state}`" for state in states)


def _takes_any_text(parameter: Parameter) -> bool:
    """Outside of a body every value is text, also that of a number."""
    return not parameter.shape.keys() - {"type", "default"} and (
        parameter.shape.get("type", "string") == "string"
    )


def _parameters(operation: Operation) -> dict[tuple[str, str], Parameter]:
    """By location and name, those of the path by their place in it; headers have no case."""
    places = _PLACEHOLDER.findall(operation.path)
    found: dict[tuple[str, str], Parameter] = {}
    for parameter in operation.parameters:
        name = parameter.name
        if parameter.location == "path" and f"{{{name}}}" in places:
            name = str(places.index(f"{{{name}}}"))
        found[parameter.location, name.lower() if parameter.location == "header" else name] = (
            parameter
        )
    return found
