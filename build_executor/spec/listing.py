"""Lists and counts: filters from a query, and the fields of an answer that are counted."""

import re
from collections.abc import Collection, Iterator, Sequence

from pydantic import JsonValue

from build_executor.spec.contract import Assignment, Counter, Parameter, Resource, Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.naming import plural, snake
from build_executor.spec.shapes import is_array, is_instant_name, is_type, properties, required
from build_executor.spec.zeros import zero_of

_PAGING = {
    "limit": "limit",
    "size": "limit",
    "page_size": "limit",
    "per_page": "limit",
    "pagesize": "limit",
    "count": "limit",
    "top": "limit",
    "offset": "offset",
    "skip": "offset",
    "start": "offset",
    "page": "page",
    "sort": "sort",
    "sort_by": "sort",
    "order_by": "sort",
    "orderby": "sort",
    "order": "order",
    "sort_order": "order",
    "direction": "order",
    "sort_dir": "order",
    "q": "search",
    "query": "search",
    "search": "search",
    "keyword": "search",
    "term": "search",
    "text": "search",
}
_LOWEST = re.compile(
    r"^(?:min_(?P<a>\w+)|(?P<b>\w+)_(?:min|from|gte|after)|since|after|from|start_date|from_date|date_from)$"
)
_HIGHEST = re.compile(
    r"^(?:max_(?P<a>\w+)|(?P<b>\w+)_(?:max|to|lte|before)|until|before|to|end_date|to_date|date_to)$"
)
_TOTALS = re.compile(r"^(?:total|count|total_count|total_results|total_items|matches|size|length)$")
_WORDS = re.compile(r"[a-z0-9]+")
_DEFAULT_LIMIT, _MOST = 100, 1000
_INTEGER: Shape = {"type": "integer"}


def query_parameters(draft: Draft, resource: Resource) -> Iterator[Parameter]:
    """The query parameters of a list, each with what it does; paging is always there."""
    declared = {p.name: p for p in draft.parameters if p.location == "query"}
    names = dict.fromkeys(
        [*declared, *draft.query, *(n for n in draft.inputs if f"{{{n}}}" not in draft.path)]
    )
    parameters = [_parameter(name, declared.get(name), draft, resource) for name in names]
    purposes = {parameter.purpose for parameter in parameters}
    yield from parameters
    if draft.exact:
        return
    if resource.status_field and not any(p.field == resource.status_field for p in parameters):
        yield _parameter(resource.status_field, None, draft, resource)
    if "limit" not in purposes:
        yield _parameter("limit", None, draft, resource)
    if "offset" not in purposes and "page" not in purposes:
        yield _parameter("offset", None, draft, resource)


def _parameter(
    name: str, declared: Parameter | None, draft: Draft, resource: Resource
) -> Parameter:
    fields = properties(resource.shape)
    purpose, field = _purpose(name, fields)
    shape = _query_shape(purpose, fields.get(field or "", {}), draft)
    if declared is not None:
        shape = {**shape, **declared.shape} if purpose == "limit" else declared.shape or shape
        return declared.model_copy(update={"purpose": purpose, "field": field, "shape": shape})
    statement = draft.statements.get(name)
    needed = name in draft.required_inputs or (statement is not None and statement.required)
    found = {"name": name, "location": "query", "purpose": purpose, "field": field}
    more = statement.shape if statement is not None else {}
    return Parameter.model_validate({**found, "shape": {**shape, **more}, "required": needed})


def _purpose(name: str, fields: dict[str, Shape]) -> tuple[str, str | None]:
    lowered = snake(name)
    if name in fields and name not in {"order", "sort"}:
        return "filter", name
    if lowered in _PAGING:
        return _PAGING[lowered], None
    for pattern, purpose in ((_LOWEST, "minimum"), (_HIGHEST, "maximum")):
        if found := pattern.match(lowered):
            stem = found["a"] or found["b"]
            field = _spoken(fields, stem, *_MOMENT_OF) if stem else _first_instant(fields)
            if field is not None:
                return purpose, field
    same = _spoken(fields, lowered, "{}_id", "{}_name", "is_{}")
    alike = [same] if same is not None else []
    alike += [field for field in [plural(lowered)] if is_array(fields.get(field))]
    return ("filter", alike[0]) if alike else ("unused", None)


_MOMENT_OF = ("{}_at", "{}_on", "{}_date", "{}_time")


def _spoken(fields: dict[str, Shape], stem: str, *patterns: str) -> str | None:
    """The field that is called so, or as one of the patterns says, in whatever case."""
    by_word = {snake(field): field for field in fields}
    names = (stem, *(pattern.format(stem) for pattern in patterns))
    return next((by_word[name] for name in names if name in by_word), None)


def _first_instant(fields: dict[str, Shape]) -> str | None:
    names = [
        n for n, s in fields.items() if is_instant_name(snake(n)) or s.get("format") == "date-time"
    ]
    created = [name for name in names if name.startswith("created")]
    return next(iter([*created, *names]), None)


def _query_shape(purpose: str, field: Shape, draft: Draft) -> Shape:
    match purpose:
        case "limit":
            default = _DEFAULT_LIMIT if not draft.exact else _MOST
            return {**_INTEGER, "minimum": 1, "maximum": _MOST, "default": default}
        case "offset":
            return {**_INTEGER, "minimum": 0, "default": 0}
        case "page":
            return {**_INTEGER, "minimum": 1, "default": 1}
        case "order":
            return {"type": "string", "enum": ["asc", "desc"]}
        case "filter" | "minimum" | "maximum":
            return _filterable(field)
        case _:
            return {"type": "string"}


def _filterable(field: Shape) -> Shape:
    if is_array(field):
        items = field.get("items")
        return _filterable(items) if isinstance(items, dict) else {"type": "string"}
    for kind in ("boolean", "integer", "number"):
        if is_type(field, kind):
            return {"type": kind}
    enum = field.get("enum")
    words: list[JsonValue] = (
        [word for word in enum if word is not None] if isinstance(enum, list) else []
    )
    return {"type": "string", "enum": words} if words else {"type": "string"}


def counters_of(
    answer: Shape, resources: Sequence[Resource], main: Resource | None, *, listing: bool
) -> Iterator[Counter]:
    """The fields of an answer that are numbers of rows; one level of nesting is followed.

    Where the service keeps one kind of records only, those are meant.
    """
    kept = [resource for resource in resources if resource.creatable]
    main = kept[0] if main is None and len(kept) == 1 else main
    for name, shape in properties(answer).items():
        if is_type(shape, "integer", "number") or not shape:
            yield from _counter(name, name, resources, main, listing=listing)
        elif is_type(shape, "object"):
            named = _named(name, resources)
            about_list = listing and named is None
            for key, inner in properties(shape).items():
                if is_type(inner, "integer", "number"):
                    path = f"{name}.{key}"
                    yield from _counter(path, key, resources, named or main, listing=about_list)


def _named(name: str, resources: Sequence[Resource]) -> Resource | None:
    noun = plural(snake(name))
    return next((r for r in resources if r.name == noun or r.name.endswith(f"_{noun}")), None)


def _counter(
    path: str, name: str, resources: Sequence[Resource], main: Resource | None, *, listing: bool
) -> Iterator[Counter]:
    if main is not None and _TOTALS.match(name):
        yield Counter(name=path, resource=main.name, matching=listing)
        return
    words = _WORDS.findall(snake(name).replace("_", " "))
    resource = next((r for word in words if (r := _named(word, resources))), main)
    resource = resource or _only_one_with(words, resources)
    if resource is None:
        return
    rest = [w for w in words if plural(w) not in {resource.name, resource.name.rsplit("_", 1)[-1]}]
    today = "today" in rest
    rest = [w for w in rest if w not in {"today", "total", "count", "number", "of", "num", "all"}]
    named = len(rest) < len(words)
    if not rest and (named or today):
        yield Counter(name=path, resource=resource.name, today=today)
        return
    chosen = _chosen_by(resource, "_".join(rest), is_total=named and bool(_SUMS.match(name)))
    if chosen:
        yield Counter.model_validate(
            {"name": path, "resource": resource.name, "today": today, **chosen}
        )


def _chosen_by(resource: Resource, word: str, *, is_total: bool) -> dict[str, JsonValue]:
    """Which rows a word counts: those where it is true, those in that state, or its sum."""
    shape = properties(resource.shape).get(word)
    if is_type(shape, "boolean"):
        return {"field": word, "equals": True}
    if word in _states(resource):
        return {"field": resource.status_field, "equals": word}
    return {"total_of": word} if is_total and shape is not None else {}


def _only_one_with(words: list[str], resources: Sequence[Resource]) -> Resource | None:
    """The one resource whose stated states include one of the words."""
    found = [r for r in resources if _stated(r) & set(words)]
    return found[0] if len(found) == 1 else None


def _stated(resource: Resource) -> set[str]:
    if resource.status_field is None:
        return set()
    enum = properties(resource.shape)[resource.status_field].get("enum")
    return {str(word) for word in enum} if isinstance(enum, list) else set()


def _states(resource: Resource) -> set[str]:
    """The states that a count may name: those known, and usual words where any text may stand."""
    if resource.status_field is None:
        return set()
    enum = properties(resource.shape)[resource.status_field].get("enum")
    known = {str(word) for word in enum} if isinstance(enum, list) else set(_USUAL_STATES)
    return known | {str(resource.initial_status), *resource.states}


_SUMS = re.compile(r"total|sum")
_USUAL_STATES = frozenset(
    {
        "queued",
        "pending",
        "running",
        "active",
        "inactive",
        "completed",
        "failed",
        "cancelled",
        "open",
        "closed",
        "approved",
        "rejected",
        "building",
        "deployed",
        "paused",
        "online",
        "offline",
    }
)


def echoes_of(answer: Shape, parameters: Sequence[Parameter]) -> Iterator[Assignment]:
    """Fields of a list's answer that repeat the paging, or say when it was made.

    One level of nesting is followed: `meta.page`.
    """
    for name, shape in properties(answer).items():
        yield from _echo(name, shape, parameters)
        if is_type(shape, "object"):
            for inner, within in properties(shape).items():
                yield from _echo(f"{name}.{inner}", within, parameters)


def zeros_of(answer: Shape, known: Collection[str]) -> Iterator[Assignment]:
    """What an answer must have though nothing says its value: the least there is of it."""
    for name, shape in properties(answer).items():
        inner = properties(shape) if is_type(shape, "object") else {}
        filled = [field for field in known if field.startswith(f"{name}.")]
        if inner and filled:
            for field in required(shape):
                if f"{name}.{field}" not in filled:
                    zero = zero_of(inner.get(field, {}))
                    yield Assignment(field=f"{name}.{field}", source="literal", value=zero)
        elif name in required(answer) and name not in known:
            yield Assignment(field=name, source="literal", value=zero_of(shape))


def _echo(path: str, shape: Shape, parameters: Sequence[Parameter]) -> Iterator[Assignment]:
    name = path.rpartition(".")[2]
    by_name = {snake(parameter.name): parameter for parameter in parameters}
    parameter = by_name.get(snake(name))
    if parameter is not None and parameter.purpose in {"limit", "offset", "page", "search"}:
        yield Assignment(field=path, source="parameter", value=parameter.name)
    elif name in {"timestamp", "generated_at", "as_of"}:
        yield Assignment(field=path, source="now")
    elif name == "uptime_seconds":
        yield Assignment(field=path, source="uptime")
    elif name in {"success", "ok"} and not is_type(shape, "integer", "number"):
        yield Assignment(field=path, source="literal", value=True)
