"""What every operation has, whatever its rule: its name, its address, its codes."""

from collections.abc import Iterator
from typing import cast

from build_executor.spec.bodies import request_shape, response_shape
from build_executor.spec.contract import Note, Operation, Parameter, Resource, Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.naming import snake, unique_name
from build_executor.spec.places import normal, segments
from build_executor.spec.request_components import named_request
from build_executor.spec.situation import Classified
from build_executor.spec.workbench import Workbench

_NUMBERS = frozenset({"limit", "offset", "page", "page_size", "per_page"})
_SUCCESS = {"create": 201, "delete": 204}


def stub(member: Classified, bench: Workbench, reason: str) -> Operation:
    """An operation that answers 501 and says why."""
    draft = member.draft
    bench.gaps.append(Note(line=draft.line, message=reason, operation=draft.label))
    sent = request_shape(draft, bench.models)
    return new_operation(
        member,
        bench,
        rule="stub",
        request=named_request(member, sent, bench),
        parameters=(*path_parameters(draft, bench), *_query_of(draft)),
        promised=response_shape(draft) or None,
    )


def _query_of(draft: Draft) -> Iterator[Parameter]:
    """What the query may hold: text, unless it is called or shown as a number."""
    declared = [p for p in draft.parameters if p.location == "query"]
    yield from declared
    for name in draft.query:
        if not any(p.name == name for p in declared):
            value = draft.query[name]
            is_number = name in _NUMBERS or str(value).isdigit()
            shape: Shape = {"type": "integer", "minimum": 0} if is_number else {"type": "string"}
            needed = name in draft.required_inputs
            yield Parameter(name=name, location="query", shape=shape, required=needed)


def new_operation(member: Classified, bench: Workbench, **given: object) -> Operation:
    """An operation of the rule that `given` or the member names; `given` replaces what is usual."""
    draft = member.draft
    rule = str(given.get("rule", member.rule))
    resource = given.get("resource")
    values: dict[str, object] = {
        "method": draft.method,
        "path": draft.path,
        "spec_line": draft.line,
        "name": unique_name(_name(member, cast("Resource | None", resource)), bench.names),
        "summary": draft.summary,
        "rule": rule,
        "success_status": draft.success or _SUCCESS.get(rule, 200),
        "errors": tuple(sorted(code for code in draft.errors if code >= 400)),  # noqa: PLR2004 - HTTP
        "parameters": path_parameters(draft, bench),
        "request_example": draft.request.example if draft.request else None,
        "response_example": draft.response.example if draft.response else None,
        "media_type": draft.media_type,
        "secured": bench.auth is not None and draft.secured,
        "owned": _is_owned(member, bench),
        **given,
        "resource": resource.name if isinstance(resource, Resource) else None,
    }
    return Operation.model_validate(values)


def _is_owned(member: Classified, bench: Workbench) -> bool:
    """Whether a caller sees and changes only what the caller made."""
    found = bench.of(member)
    if bench.auth is None or found is None or not member.draft.secured:
        return False
    kind, resource = found
    makers = kind.of_rule("create", "replace")
    is_account = resource.name == bench.auth.resource
    return not is_account and bool(makers) and all(draft.secured for draft in makers)


def _name(member: Classified, resource: Resource | None) -> str:
    draft = member.draft
    if draft.operation_id:
        return snake(draft.operation_id)
    tail = f"_{snake(member.verb)}" if member.verb else ""
    if resource is None or member.rule in {"counters", "stub"}:
        words = "_".join(snake(part.strip("{}")) for part in segments(draft.path)) or "root"
        return f"{draft.method.lower()}_{words}"
    names = {
        "list": f"list_{resource.name}{tail}",
        "transition": f"{snake(member.verb).rstrip('_')}_{resource.singular}",
        "read": f"get_{resource.singular}{tail}",
        "field": f"get_{resource.singular}{tail}",
        "batch": f"create_{resource.name}",
        "login": "sign_in",
        "logout": "sign_out",
        "me": "get_own_account",
    }
    return names.get(member.rule) or f"{member.rule}_{resource.singular}{tail}"


def path_parameters(draft: Draft, bench: Workbench) -> tuple[Parameter, ...]:
    """The parameters that the path holds, in its order, and the declared headers."""
    declared = {p.name: p for p in draft.parameters}
    parts = segments(draft.path)
    own = [
        declared.get(part[1:-1]) or _identifying(part[1:-1], parts[:index], bench)
        for index, part in enumerate(parts)
        if part.startswith("{")
    ]
    return (*own, *(p for p in draft.parameters if p.location == "header"))


def _identifying(name: str, above: list[str], bench: Workbench) -> Parameter:
    """A parameter of a path; a number where it identifies a record whose id is one."""
    resource = bench.resources.get(normal("/" + "/".join(above)))
    is_number = resource is not None and resource.id_type == "integer"
    shape: Shape = {"type": "integer"} if is_number else {}
    return Parameter(name=name, location="path", required=True, shape=shape)


def id_parameter_of(member: Classified) -> str | None:
    """The path parameter that identifies the record, if the operation's own path has it."""
    parameter = member.collection.parameter if member.collection else None
    return parameter if parameter and f"{{{parameter}}}" in member.draft.path else None
