"""Python expressions for what a contract assigns, counts and filters."""

import re
from collections.abc import Iterable, Mapping
from typing import cast

from build_executor.generators.compiler.annotations import field_name
from build_executor.generators.compiler.text import literal, text_literal
from build_executor.spec.contract import Assignment, Counter, Operation, Resource
from build_executor.spec.naming import variable

_MOMENTS = {"number": "epoch()", "integer": "int(epoch())"}
Tree = dict[str, "str | Tree"]


def words(noun: str) -> str:
    """`refund_request` as it is said: `refund request`."""
    return noun.replace("_", " ")


def dictionary(members: Mapping[str, "str | Tree"], *spreads: str) -> str:
    """A dict display of code; `spreads` come first."""
    if not members and len(spreads) == 1:
        return spreads[0]
    parts = [f"**{spread}" for spread in spreads]
    for key, value in members.items():
        code = value if isinstance(value, str) else dictionary(value)
        parts.append(f"{text_literal(key)}: {code}")
    return "{" + ", ".join(parts) + "}"


def assigned(assignment: Assignment, resource: Resource | None) -> str:
    """The value that an assignment gives."""
    value = str(assignment.value)
    codes = {
        "now": _MOMENTS.get(value, "timestamp()"),
        "parameter": variable(value),
        "body": f"sent.get({text_literal(value)})",
        "template": _template(value),
        "count": _position(resource),
        "uptime": "uptime_seconds",
        "token": "issue_token(repository, record_id)",
        "user": "None",
    }
    return codes.get(assignment.source) or literal(assignment.value)


def attribute(name: str) -> str:
    """The name of a parameter's field in the class that holds a query."""
    return field_name(name, set())


def _template(text: str) -> str:
    parts = re.split(r"(\{\w+\})", text)
    codes = ["str(record_id)" if part.startswith("{") else literal(part) for part in parts if part]
    return " + ".join(codes)


def _position(resource: Resource | None) -> str:
    if resource is None:
        return "None"
    equals = (
        f", {dictionary({resource.status_field: literal(resource.initial_status)})}"
        if resource.status_field
        else ""
    )
    return f"repository.count({text_literal(resource.name)}{equals}) + 1"


def assignments(items: Iterable[Assignment], resource: Resource | None) -> dict[str, str]:
    """Field -> code."""
    return {item.field: assigned(item, resource) for item in items}


def counted(counter: Counter, within: Mapping[str, str], *, matching: str | None = None) -> str:
    """The number that a counter stands for; `matching` is the code of a page's own total."""
    if counter.matching and matching is not None:
        return matching
    name = text_literal(counter.resource)
    if counter.total_of is not None:
        return f"repository.total({name}, {text_literal(counter.total_of)})"
    equals: dict[str, str] = dict(within)
    if counter.field is not None:
        equals[counter.field] = literal(counter.equals)
    method = "count_today" if counter.today else "count"
    more = f", {dictionary(equals)}" if equals else ""
    return f"repository.{method}({name}{more})"


def counters(
    items: Iterable[Counter], within: Mapping[str, str], *, matching: str | None = None
) -> Tree:
    """Answer field -> code, nested where a counter's name has a dot."""
    tree: Tree = {}
    add_nested(tree, {item.name: counted(item, within, matching=matching) for item in items})
    return tree


def add_nested(tree: Tree, codes: Mapping[str, "str | Tree"]) -> None:
    """Adds code under each name; `meta.page` is `page` inside `meta`."""
    for name, code in codes.items():
        outer, dot, inner = name.partition(".")
        if dot:
            cast("Tree", tree.setdefault(outer, {}))[inner] = code
        else:
            tree[outer] = code


def restrictions(operation: Operation, purpose: str) -> dict[str, str]:
    """Stored field -> code of the parameter that restricts it."""
    found: dict[str, str] = {}
    for parameter in operation.parameters:
        if parameter.purpose != purpose or parameter.field is None:
            continue
        name = variable(parameter.name)
        found[parameter.field] = (
            f"query.{attribute(parameter.name)}" if parameter.location == "query" else name
        )
    return found


def parameter_code(operation: Operation, purpose: str) -> str | None:
    """The code of the query parameter with this purpose, if there is one."""
    for parameter in operation.parameters_in("query"):
        if parameter.purpose == purpose:
            return f"query.{attribute(parameter.name)}"
    return None
