"""Operations: drafts with their rule, their bodies, their parameters and their effect."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from pydantic import JsonValue

from build_executor.spec.bodies import request_shape, response_shape
from build_executor.spec.classification import Classified
from build_executor.spec.contract import (
    Assignment,
    Auth,
    Counter,
    Effect,
    Note,
    Operation,
    Parameter,
    Resource,
    Shape,
)
from build_executor.spec.drafts import Draft
from build_executor.spec.effects import (
    answers_of,
    create_effect,
    parents_of,
    touch,
    transition_effect,
)
from build_executor.spec.listing import counters_of, echoes_of, query_parameters, zeros_of
from build_executor.spec.naming import pascal, snake, unique_name
from build_executor.spec.places import normal, segments
from build_executor.spec.python_models import PythonModel
from build_executor.spec.resources import Kind, id_field_of, wrapper_of
from build_executor.spec.shapes import (
    BOUNDS,
    is_array,
    is_type,
    nullable,
    object_of,
    properties,
    required,
    unbounded,
)
from build_executor.spec.verbs import changes_state

_NEWEST = re.compile(r"newest|latest|recent|descending|reverse chronological")
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
_HEALTH = re.compile(r"/(?:health|healthz|healthcheck|ping)$")
_CHANGES = frozenset({"create", "replace", "update", "transition"})
_SUCCESS = {"create": 201, "delete": 204}


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


def make_operations(classified: Sequence[Classified], bench: Workbench) -> list[Operation]:
    """The operations in the order given; those that use another's bodies are made after it."""
    made: dict[int, Operation] = {}
    for index in sorted(range(len(classified)), key=lambda i: classified[i].rule == "batch"):
        made[index] = make_operation(classified[index], bench)
    return [made[index] for index in range(len(classified))]


def make_operation(member: Classified, bench: Workbench) -> Operation:
    """The operation; a stub, with a gap noted, if its rule cannot be carried out."""
    found = bench.of(member)
    if member.rule == "stream":
        return _stream(member, bench, found)
    if found is None:
        return _without_records(member, bench)
    kind, resource = found
    misfit = _misfit(member)
    if misfit is not None:
        return stub(member, bench, misfit)
    maker = _MAKERS.get(member.rule, _record_operation)
    return maker(member, kind, resource, bench)


def _misfit(member: Classified) -> str | None:
    """Why the bodies cannot be a record's, if they cannot."""
    draft = member.draft
    sent = draft.request.shape if draft.request else {}
    if draft.media_type != "application/json":
        return f"it speaks {draft.media_type}, and nothing says how that is made or read"
    if member.rule in _CHANGES and not _is_record(sent):
        return "its body is no object: nothing says what record it makes"
    answer = draft.response.shape if draft.response and draft.exact else {}
    if member.rule in _CHANGES | {"read"} and not _is_record(answer):
        return "the answer that is declared is no object: nothing says how it is made of a record"
    if member.rule == "list" and not _is_listing(answer, member):
        return "the answer that is declared holds no list of records"
    return None


def _is_record(shape: Shape) -> bool:
    return is_type(shape, "object") or "type" not in shape


def _is_listing(answer: Shape, member: Classified) -> bool:
    if is_array(answer):
        return _is_record(cast("Shape", answer.get("items") or {}))
    return member.list_key is not None or _is_free(answer)


def _is_free(shape: Shape) -> bool:
    """Whether it says nothing but, at most, that it is an object."""
    return _is_record(shape) and shape.keys() <= {"type", "description"}


def stub(member: Classified, bench: Workbench, reason: str) -> Operation:
    """An operation that answers 501 and says why."""
    draft = member.draft
    bench.gaps.append(Note(line=draft.line, message=reason, operation=draft.label))
    sent = request_shape(draft, bench.models)
    return _operation(member, bench, rule="stub", request=_named_request(member, sent, bench))


def _operation(member: Classified, bench: Workbench, **given: object) -> Operation:
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
        "parameters": _path_parameters(draft, bench),
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


def _path_parameters(draft: Draft, bench: Workbench) -> tuple[Parameter, ...]:
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


def _named_request(member: Classified, sent: Shape | None, bench: Workbench) -> Shape | None:
    """The request's shape as a component, so that it has a name in the code."""
    if member.draft.exact and member.draft.request is not None:
        return member.draft.request.declared
    if sent is None or "$ref" in sent or not properties(sent):
        return sent
    found = bench.of(member)
    sent = _refined(sent, found[1].shape) if found else sent
    noun = pascal(found[1].singular) if found else ""
    prefix = {"create": "Create", "update": "Update", "replace": "Replace"}.get(member.rule)
    if prefix and noun:
        name = f"{prefix}{noun}{pascal(member.verb) if member.verb else ''}"
    elif member.verb and noun:
        name = f"{pascal(member.verb)}{noun}"
    else:
        name = (
            "".join(pascal(p) for p in segments(member.draft.path) if not p.startswith("{"))
            + "Request"
        )
    name = unique_name(name, set(bench.components))
    bench.components[name] = {"description": f"What {member.draft.label} takes", **sent}
    return {"$ref": f"#/components/schemas/{name}"}


def _refined(sent: Shape, known: Shape) -> Shape:
    """A text that is one of some words elsewhere is one of them here too."""
    fields = properties(known)
    members = {
        name: fields[name] | {"default": shape["default"]} if "default" in shape else fields[name]
        for name, shape in properties(sent).items()
        if is_type(shape, "string") and "enum" in fields.get(name, {}) and "enum" not in shape
    }
    for name, shape in properties(sent).items():
        known_shape = fields.get(name, {})
        if name not in members and known_shape.get("type") == shape.get("type"):
            bounds = {word: known_shape[word] for word in BOUNDS if word in known_shape}
            members[name] = {**bounds, **shape}
    return {**sent, "properties": {**properties(sent), **members}}


def _stream(member: Classified, bench: Workbench, found: tuple[Kind, Resource] | None) -> Operation:
    resource = found[1] if found else _resource_in_path(member.draft, bench)
    effect = Effect(id_parameter=_last_parameter(member.draft) if resource else None)
    return _operation(member, bench, resource=resource, effect=effect, success_status=101)


def _resource_in_path(draft: Draft, bench: Workbench) -> Resource | None:
    """`/builds/{build_id}/stream` concerns a build if there are builds."""
    parts = segments(draft.path)
    for index, part in enumerate(parts):
        if part.startswith("{") and index:
            path = "/" + "/".join(parts[:index])
            return bench.resources.get(path)
    return None


def _last_parameter(draft: Draft) -> str | None:
    names = [part[1:-1] for part in segments(draft.path) if part.startswith("{")]
    return names[-1] if names else None


def _without_records(member: Classified, bench: Workbench) -> Operation:
    draft = member.draft
    if member.rule == "information":
        return _operation(member, bench, response={"type": "object"})
    if member.rule == "counters":
        return _counting(member, None, bench)
    reason = (
        f"{draft.label} stands for any method or another service: nothing says what it does"
        if draft.method == "ANY"
        else "nothing in the SPEC says how the answer comes about"
    )
    return stub(member, bench, reason)


def _counting(member: Classified, resource: Resource | None, bench: Workbench) -> Operation:
    """An answer made of counts: implemented as far as its fields can be counted."""
    answer = response_shape(member.draft) or _health_answer(member.draft)
    resources = list(bench.resources.values())
    counters = tuple(counters_of(answer, resources, resource, listing=False))
    answers = [*echoes_of(answer, ()), *_identity(answer, member.draft, bench)]
    is_whole = bool(answers) and properties(answer).keys() <= {a.field for a in answers}
    if not counters and not is_whole:
        return stub(member, bench, "none of the answer's fields can be counted from stored records")
    known = {c.name.split(".")[0] for c in counters} | {a.field for a in answers}
    for name in properties(answer):
        if name not in known:
            message = f"`{name}` is answered as null: nothing says how it is computed"
            bench.gaps.append(
                Note(line=member.draft.line, message=message, operation=member.draft.label)
            )
    effect = Effect(counters=counters, answers=tuple(answers), id_parameter=_id_parameter(member))
    shape = open_fields(answer, known)
    return _operation(member, bench, resource=resource, response=shape, effect=effect)


def _health_answer(draft: Draft) -> Shape:
    """What a health endpoint beside the UDC's says where the SPEC shows no answer."""
    names = ("status", "service", "version") if _HEALTH.search(draft.path) else ()
    return object_of({name: {"type": "string"} for name in names}) if names else {}


def _identity(answer: Shape, draft: Draft, bench: Workbench) -> Iterable[Assignment]:
    values: dict[str, JsonValue] = {"service": bench.service, "version": bench.version}
    if _HEALTH.search(draft.path):
        values["status"] = "active"
    for name in properties(answer):
        if name in values:
            yield Assignment(field=name, source="literal", value=values[name])


def open_fields(answer: Shape, known: Iterable[str]) -> Shape:
    """The answer's shape where all that is not known may be null, at both levels."""
    names = set(known)
    return object_of(
        {
            name: _half_open(shape, is_known=name in names)
            for name, shape in properties(answer).items()
        },
        [name for name in properties(answer) if name in names],
    )


def _half_open(shape: Shape, *, is_known: bool) -> Shape:
    if not is_known or not is_type(shape, "object"):
        return shape if is_known else nullable(shape)
    inner = properties(shape)
    return object_of({n: nullable(s) for n, s in inner.items()}) if inner else shape


def _id_parameter(member: Classified) -> str | None:
    parameter = member.collection.parameter if member.collection else None
    return parameter if parameter and f"{{{parameter}}}" in member.draft.path else None


def _creating(member: Classified, kind: Kind, resource: Resource, bench: Workbench) -> Operation:
    sent = request_shape(member.draft, bench.models)
    effect = create_effect(member, kind, resource, bench.resources, sent)
    _note_unknown(member, kind, {resource.id_field, *properties(sent)}, effect, bench)
    operation = _operation(
        member,
        bench,
        resource=resource,
        request=_named_request(member, sent, bench),
        response=_record_answer(member, kind, resource, effect),
        effect=effect.model_copy(update={"wraps": _wrapper(member, kind)}),
        parameters=(*_path_parameters(member.draft, bench), *([_KEY] if effect.idempotent else [])),
    )
    bench.creates.setdefault(resource.name, operation)
    return operation


_KEY = Parameter(name="Idempotency-Key", location="header", shape={"type": "string"})


def _note_unknown(
    member: Classified, kind: Kind, given: set[str], effect: Effect, bench: Workbench
) -> None:
    """What a create answers, though nothing sends or computes it, now or later."""
    draft = member.draft
    answered = properties(response_shape(draft))
    answered = properties(answered.get(_wrapper(member, kind) or "")) or answered
    known = given | {a.field for a in (*effect.assignments, *effect.answers)}
    known |= {r.field for r in effect.parents}
    for other in kind.of_rule("update", "replace", "transition"):
        known |= set(properties(request_shape(other, bench.models)))
        known |= set(properties(response_shape(other)))
    for name in () if draft.exact else sorted(answered.keys() - known):
        message = f"`{name}` is answered as null: nothing says how it is computed"
        bench.gaps.append(Note(line=draft.line, message=message, operation=draft.label))


def _wrapper(member: Classified, kind: Kind) -> str | None:
    return wrapper_of(kind, properties(response_shape(member.draft)))


def _record_answer(member: Classified, kind: Kind, resource: Resource, effect: Effect) -> Shape:
    """The record itself, wrapped if the SPEC wraps it, with what is said beside it."""
    reference: Shape = {"$ref": f"#/components/schemas/{pascal(resource.singular)}"}
    answered = properties(response_shape(member.draft))
    beside = {a.field: answered.get(a.field, {}) for a in effect.answers}
    wrapper = _wrapper(member, kind)
    if member.draft.exact:
        return _declared(member.draft)
    if wrapper is not None:
        return object_of({wrapper: reference, **beside}, [wrapper])
    return reference


def _declared(draft: Draft) -> Shape:
    """The answer as the document declares it; any object if it declares none."""
    declared = draft.response.declared if draft.response else None
    return {"type": "object"} if declared is None else declared


def _listing(member: Classified, kind: Kind, resource: Resource, bench: Workbench) -> Operation:
    draft = member.draft
    parameters = (*_path_parameters(draft, bench), *query_parameters(draft, resource))
    parameters = tuple(_with_field(p, kind, resource, bench, draft) for p in parameters)
    answer = response_shape(draft)
    key = member.list_key if answer else _default_key(draft, resource)
    counters = tuple(counters_of(answer, list(bench.resources.values()), resource, listing=True))
    if key is not None and not answer:
        counters = (Counter(name="total", resource=resource.name, matching=True),)
    answers = tuple(echoes_of(answer, parameters))
    if draft.exact:
        known = {key or "", *(c.name for c in counters), *(a.field for a in answers)}
        answers += tuple(zeros_of(answer, known))
    effect = Effect(
        parents=parents_of(draft, kind, bench.resources),
        collection=key,
        counters=counters,
        answers=answers,
        newest_first=bool(_NEWEST.search(f"{draft.path} {draft.text}")),
    )
    shape = _list_answer(draft, resource, effect, answer)
    for parameter in parameters:
        if parameter.purpose == "unused" and parameter.location == "query":
            message = (
                f"query parameter `{parameter.name}` names no field and is accepted without effect"
            )
            bench.gaps.append(Note(line=draft.line, message=message, operation=draft.label))
    return _operation(
        member, bench, resource=resource, parameters=parameters, response=shape, effect=effect
    )


def _with_field(
    parameter: Parameter, kind: Kind, resource: Resource, bench: Workbench, draft: Draft
) -> Parameter:
    if parameter.location != "path":
        return parameter
    parents = {reference.field for reference in parents_of(draft, kind, bench.resources)}
    if parameter.name in parents:
        return parameter.model_copy(update={"purpose": "parent", "field": parameter.name})
    if parameter.name in properties(resource.shape):
        return parameter.model_copy(update={"purpose": "filter", "field": parameter.name})
    return parameter


def _default_key(draft: Draft, resource: Resource) -> str | None:
    """Where the SPEC shows no answer: a bare list if it says array, else an envelope."""
    is_bare = re.search(r"\barray of\b|\ban? (?:json |plain |bare )?array\b", draft.text)
    return None if is_bare or draft.exact else resource.name


def _list_answer(draft: Draft, resource: Resource, effect: Effect, answer: Shape) -> Shape:
    if draft.exact:
        free: Shape = {"type": "array", "items": {"type": "object"}}
        return free if _is_free(answer) else _declared(draft)
    items: Shape = {
        "type": "array",
        "items": {"$ref": f"#/components/schemas/{pascal(resource.singular)}"},
    }
    if effect.collection is None:
        return items
    known = {effect.collection, *(c.name.split(".")[0] for c in effect.counters)}
    known |= {a.field.split(".")[0] for a in effect.answers}
    if not answer:
        return object_of({effect.collection: items, "total": {"type": "integer"}}, known)
    fields = properties(open_fields(answer, known))
    return object_of({**fields, effect.collection: items}, known)


def _record_operation(
    member: Classified, kind: Kind, resource: Resource, bench: Workbench
) -> Operation:
    """Read, replace, update, delete."""
    sent = request_shape(member.draft, bench.models)
    if member.rule == "update" and sent is not None and not member.draft.exact:
        sent = object_of({n: _changeable(s) for n, s in properties(sent).items()})
    done = {"delete": resource.soft_delete or "deleted"}.get(member.rule, "updated")
    answers = tuple(answers_of(member.draft, resource, done))
    effect = Effect(
        id_parameter=_id_parameter(member),
        parents=parents_of(member.draft, kind, bench.resources),
        assignments=touch(resource) if member.rule != "read" else (),
        answers=answers if member.rule != "read" else (),
        wraps=_wrapper(member, kind),
        target=resource.soft_delete if member.rule == "delete" else None,
    )
    return _operation(
        member,
        bench,
        resource=resource,
        request=_named_request(member, sent, bench),
        response=_record_answer(member, kind, resource, effect),
        effect=effect,
    )


def _changeable(shape: Shape) -> Shape:
    """In a change, what is not sent stays: nothing has a default."""
    return nullable({word: value for word, value in shape.items() if word != "default"})


def _deleting(member: Classified, kind: Kind, resource: Resource, bench: Workbench) -> Operation:
    operation = _record_operation(member, kind, resource, bench)
    draft = member.draft
    answered = draft.response is not None or resource.soft_delete is not None
    status = draft.success or (200 if answered else 204)
    shape = operation.response if resource.soft_delete else _deleted_answer(draft, kind, status)
    if draft.exact:
        shape = draft.response.declared if draft.response else None
    return operation.model_copy(update={"response": shape, "success_status": status})


def _deleted_answer(draft: Draft, kind: Kind, status: int) -> Shape | None:
    if status == 204:  # noqa: PLR2004 - HTTP: no content
        return None
    answer = response_shape(draft)
    return open_fields(answer, ()) if properties(answer) else object_of({id_field_of(kind): {}})


def _transition(member: Classified, kind: Kind, resource: Resource, bench: Workbench) -> Operation:
    sent = request_shape(member.draft, bench.models)
    effect = transition_effect(member, kind, resource, sent)
    if effect is None or not _is_plausible(member, kind, effect):
        return stub(
            member, bench, f"nothing says what `{member.verb}` does to a {resource.singular}"
        )
    effect = effect.model_copy(
        update={
            "parents": parents_of(member.draft, kind, bench.resources),
            "wraps": _wrapper(member, kind),
        }
    )
    for message in _assumed(kind, resource, effect):
        bench.assumptions.append(
            Note(line=member.draft.line, message=message, operation=member.draft.label)
        )
    return _operation(
        member,
        bench,
        resource=resource,
        request=_named_request(member, sent, bench),
        response=_record_answer(member, kind, resource, effect),
        effect=effect,
    )


def _is_plausible(member: Classified, kind: Kind, effect: Effect) -> bool:
    """Where the status itself is assumed, not every verb may be assumed to set it."""
    sets_status = isinstance(effect.target, str)
    return not (kind.assumes_status and sets_status) or changes_state(member.verb)


def _assumed(kind: Kind, resource: Resource, effect: Effect) -> Iterator[str]:
    if not effect.target:
        return
    if kind.assumes_status:
        noun = resource.singular.replace("_", " ")
        made = f"each {noun} is pending until this makes it {effect.target}"
        yield f"the SPEC names no status: {made}"
    elif resource.terminal and not (effect.allowed_from or effect.refused_from):
        yield f"allowed from every state but {', '.join(resource.terminal)}: the SPEC names none"


def _field(member: Classified, kind: Kind, resource: Resource, bench: Workbench) -> Operation:
    name = snake(member.verb)
    shape = properties(resource.shape).get(name)
    if shape is None:
        return stub(
            member, bench, f"nothing says what the {member.verb} of a {resource.singular} is"
        )
    effect = Effect(
        id_parameter=_id_parameter(member), parents=parents_of(member.draft, kind, bench.resources)
    )
    answer = object_of({resource.id_field: {}, name: nullable(shape)}, [resource.id_field])
    return _operation(member, bench, resource=resource, response=answer, effect=effect)


def _account(member: Classified, kind: Kind, resource: Resource, bench: Workbench) -> Operation:
    """Signing in and out, and one's own account."""
    sent = request_shape(member.draft, bench.models)
    answers = list(answers_of(member.draft, resource, f"{member.rule} done"))
    if member.rule == "login" and not any(a.source == "token" for a in answers):
        answers.append(Assignment(field="token", source="token"))
    effect = Effect(answers=tuple(answers), wraps=_wrapper(member, kind))
    secured = bench.auth is not None and member.rule != "login"
    return _operation(
        member,
        bench,
        resource=resource,
        request=_named_request(member, sent, bench) if member.rule == "login" else None,
        response=_account_answer(member, kind, resource, effect),
        effect=effect,
        secured=secured,
        success_status=member.draft.success or 200,
    )


def _account_answer(
    member: Classified, kind: Kind, resource: Resource, effect: Effect
) -> Shape | None:
    if member.draft.exact:
        return member.draft.response.declared if member.draft.response else None
    answer = response_shape(member.draft)
    if not properties(answer) and member.rule == "login":
        answer = object_of({"token": {"type": "string"}, "token_type": {"type": "string"}})
    if not properties(answer) or _wrapper(member, kind):
        return _record_answer(member, kind, resource, effect)
    shape = open_fields(answer, {a.field for a in effect.answers})
    token: dict[str, Shape] = {
        a.field: {"type": "string"} for a in effect.answers if a.source == "token"
    }
    return object_of({**properties(shape), **token}, {*required(shape), *token})


def _batching(member: Classified, _kind: Kind, resource: Resource, bench: Workbench) -> Operation:
    """Many records at once, each as its own create would make it: all of them, or none."""
    create = bench.creates.get(resource.name)
    if create is None or create.effect.wraps or create.parameters_in("path"):
        return stub(member, bench, f"nothing says how one {resource.singular} of many is made")
    answer = response_shape(member.draft)
    items: Shape = {"type": "array", "items": create.response or {}}
    answers = tuple(_batch_answers(answer, member))
    known = {a.field for a in answers} | ({member.list_key} if member.list_key else set())
    shape = object_of(
        {
            **properties(open_fields(answer, known)),
            **({member.list_key: items} if member.list_key else {}),
        },
        known,
    )
    sent: Shape = {"type": "array", "items": create.request or {}, "minItems": 1, "maxItems": 1000}
    users = tuple(a for a in create.effect.assignments if a.source == "user")
    effect = Effect(
        wraps=member.verb, collection=member.list_key, answers=answers, assignments=users
    )
    return _operation(
        member,
        bench,
        resource=resource,
        success_status=member.draft.success or 201,
        request=object_of({member.verb: sent}, [member.verb]),
        response=shape if known else items,
        effect=effect,
    )


_COUNTS = re.compile(
    r"^(?:count|total|(?:\w+_)?(?:created|imported|inserted|added|succeeded|processed)(?:_count)?)$"
)
_FAILURES = re.compile(r"^(?:errors|failures|(?:\w+_)?(?:failed|skipped|rejected)(?:_count)?)$")


def _batch_answers(answer: Shape, member: Classified) -> Iterable[Assignment]:
    for name, shape in properties(answer).items():
        if name == member.list_key:
            continue
        if is_type(shape, "integer") and _COUNTS.match(name):
            yield Assignment(field=name, source="count")
        elif is_type(shape, "integer", "array") and _FAILURES.match(name):
            yield Assignment(field=name, source="literal", value=[] if is_array(shape) else 0)
        elif name in {"success", "ok"}:
            yield Assignment(field=name, source="literal", value=True)


def _counting_of(
    member: Classified, _kind: Kind, resource: Resource, bench: Workbench
) -> Operation:
    return _counting(member, resource, bench)


_MAKERS = {
    "create": _creating,
    "batch": _batching,
    "list": _listing,
    "delete": _deleting,
    "transition": _transition,
    "counters": _counting_of,
    "field": _field,
    "login": _account,
    "logout": _account,
    "me": _account,
}


def entity_components(
    resources: Sequence[Resource], operations: Sequence[Operation]
) -> dict[str, Shape]:
    """One component a resource: what every record surely has is required, the rest may be null."""
    return {pascal(r.singular): _entity(r, operations) for r in resources}


def _entity(resource: Resource, operations: Sequence[Operation]) -> Shape:
    own = [o for o in operations if o.resource == resource.name]
    creates = [o for o in own if o.rule == "create"]
    above = (parent.field for parent in resource.parents)
    sure = {resource.id_field, *(n for n in above if all(_is_in_path(n, o) for o in creates))}
    if len(creates) == 1 and resource.creatable:
        sure |= {a.field for a in creates[0].effect.assignments} | set(resource.always)
    shown = {n: s for n, s in properties(resource.shape).items() if n not in resource.secret}
    fields = {name: unbounded(shape) for name, shape in shown.items()}
    for operation in own:
        _admit(fields, operation)
    shape = object_of({n: s if n in sure else nullable(s) for n, s in fields.items()}, sure)
    return {"description": f"A {resource.singular.replace('_', ' ')}", **shape}


def _is_in_path(name: str, operation: Operation) -> bool:
    return f"{{{name}}}" in operation.path


def _admit(fields: dict[str, Shape], operation: Operation) -> None:
    """An enumeration holds every word that an operation stores under it."""
    effect = operation.effect
    stored = [(a.field, a.value) for a in effect.assignments if a.source == "literal"]
    if effect.rejected is not None:
        stored.extend((name, effect.rejected) for name, _ in stored[:1])
    for name, value in stored:
        enum = fields.get(name, {}).get("enum")
        if isinstance(enum, list) and isinstance(value, str) and value not in enum:
            fields[name] = {**fields[name], "enum": [*enum, value]}
