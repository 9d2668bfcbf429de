"""Which body is the request and which the answer, and which fields they have."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from build_executor.spec.contract import Note, Shape
from build_executor.spec.drafts import Body, Draft
from build_executor.spec.places import normal, segments, split_item
from build_executor.spec.python_models import PythonModel
from build_executor.spec.shapes import guess, is_type, nullable, object_of, properties, required
from build_executor.spec.statements import refine
from build_executor.spec.verbs import ENTRY_VERBS

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_ANSWERED = re.compile(r".*_(?:at|url)$|^(?:success|message|created|updated|result|total)$")
_ENOUGH = 0.6
_LEAST_SHARED = 2
_OFTEN_OPTIONAL = re.compile(
    r"metadata|notes?$|reason$|comment|description|tags$|options|config$|payload$|meta$|context"
    r"|priority|_url$|callback|limit|optional|nickname|avatar|bio$"
)


def settle_all(drafts: Sequence[Draft], notes: list[Note]) -> None:
    """Decides of all drafts what is sent and what is answered, and what the fields must be."""
    for draft in drafts:
        settle_bodies(draft, notes)
        apply_statements(draft)
    lend_bodies(drafts, notes)


def settle_bodies(draft: Draft, notes: list[Note]) -> None:
    """Decides for blocks without a label whether they are the request or the answer."""
    for body in draft.unlabelled:
        if draft.is_stream:
            return
        if draft.method not in _WITH_BODY or draft.request is not None:
            draft.response = draft.response or body
        elif draft.response is not None or len(draft.unlabelled) > 1:
            draft.request = body
        elif _reads_as_answer(draft, body):
            draft.response = body
            notes.append(_note(draft, body, "answer"))
        else:
            draft.request = body
            notes.append(_note(draft, body, "request"))


def lend_bodies(drafts: Sequence[Draft], notes: list[Note]) -> None:
    """A PUT that shows no body takes what makes a record, as a whole; a PATCH takes any of it."""
    makers = {normal(draft.path): draft for draft in drafts if draft.method == "POST"}
    for draft in drafts:
        split = split_item(draft.path)
        maker = makers.get(normal(split[0])) if split and not split[2] else None
        shows = draft.exact or draft.request or draft.inputs or draft.request_model
        if maker is None or shows:
            continue
        if draft.method == "PATCH" and maker.request_model is None:
            draft.request, draft.inputs, draft.stated = maker.request, maker.inputs, maker.stated
            message = "its body is not shown: it takes any of the fields that a new record has"
            if draft.request or draft.inputs:
                notes.append(Note(line=draft.line, message=message, operation=draft.label))
        if draft.method == "PUT":
            draft.request, draft.request_model = maker.request, maker.request_model
            draft.inputs, draft.stated = maker.inputs, maker.stated
            draft.required_inputs = maker.required_inputs
            draft.optional_inputs = maker.optional_inputs
            draft.statements = maker.statements


def apply_statements(draft: Draft) -> None:
    """Adds to the request what the text demands of its fields."""
    for path, statement in draft.statements.items():
        name = path.partition(".")[0]
        if statement.required and "." not in path:
            draft.required_inputs.append(name)
        if statement.optional and "." not in path:
            draft.optional_inputs.append(name)
        if draft.request is not None and statement.shape:
            shape = refine(draft.request.shape, path, statement.shape)
            draft.request = replace(draft.request, shape=shape)
        elif statement.shape and "." not in path:
            _state(draft, name, statement.shape)


def _state(draft: Draft, name: str, shape: Shape) -> None:
    """A field that a table or list gives a type is part of a body that nothing else shows."""
    if "type" in shape and draft.method in _WITH_BODY:
        draft.inputs.append(name)
    draft.stated[name] = draft.stated.get(name, {}) | shape


def _note(draft: Draft, body: Body, role: str) -> Note:
    message = f"its only JSON block has no label and is taken as the {role}"
    return Note(line=body.line, message=message, operation=draft.label)


def _reads_as_answer(draft: Draft, body: Body) -> bool:
    """An id from the path, a time or a status is what a service says, not what it is told."""
    names = set(properties(body.shape))
    in_path = {part[1:-1] for part in segments(draft.path) if part.startswith("{")}
    if names & in_path:
        return True
    creates = segments(draft.path)[-1:] and segments(draft.path)[-1] in ENTRY_VERBS
    answered = [name for name in names if _ANSWERED.match(name)]
    has_state = "status" in names and any(name.endswith("_id") or name == "id" for name in names)
    return bool(has_state or (len(answered) > 1 and not creates))


_REQUEST_NAME = re.compile(r"Request|Create|Input|Payload|New|Submission$|Update|Patch")


def best_model(
    models: Mapping[str, PythonModel], names: list[str], *, request: bool
) -> PythonModel | None:
    """The class that has most of these fields; for a request one that is named so wins a tie."""
    scored = []
    for model in models.values():
        shared = len(set(names) & set(model.fields))
        if names and shared / len(names) >= _ENOUGH and shared >= min(_LEAST_SHARED, len(names)):
            is_request = bool(
                re.search(r"Request|Create|Input|Payload|New|Submission$", model.name)
            )
            surplus = len(set(model.fields) - set(names))
            scored.append((shared, is_request == request, -surplus, -model.line, model.name))
    return models[max(scored)[4]] if scored else None


def request_shape(draft: Draft, models: dict[str, PythonModel]) -> Shape | None:
    """The shape of the request's body with its required fields; None if there is no body."""
    if draft.method not in _WITH_BODY and not (draft.exact and draft.request):
        return None
    if draft.exact:
        return draft.request.shape if draft.request else None
    fields = properties(draft.request.shape) if draft.request else {}
    inputs = {
        name: draft.stated.get(name) or guess(name)
        for name in draft.inputs
        if f"{{{name}}}" not in draft.path
    }
    fields = {**inputs, **fields}
    fitting = _fitting(models, draft)
    model = models.get(draft.request_model or "") or best_model(fitting, list(fields), request=True)
    if model is not None and (fields or draft.request_model):
        return _with_model(draft, fields, model)
    if draft.request and not fields:
        return draft.request.shape
    return object_of(fields, _needed(draft, fields)) if fields else None


def _fitting(models: Mapping[str, PythonModel], draft: Draft) -> dict[str, PythonModel]:
    """A class for creating is not the body of a change, unless the path says `update` itself."""
    other = re.compile("Update|Patch" if draft.method == "POST" else "Create|New")
    return {
        name: model
        for name, model in models.items()
        if not (found := other.search(name)) or found[0].lower() in draft.path
    }


def _with_model(draft: Draft, fields: dict[str, Shape], model: PythonModel) -> Shape:
    """A request class is the whole truth; an entity's class only lends its fields' shapes."""
    exact = draft.request_model == model.name or re.search(
        r"Request|Create|Input|Payload", model.name
    )
    names = dict.fromkeys([*model.fields, *fields]) if exact else dict.fromkeys(fields)
    shapes = {name: model.fields.get(name) or fields.get(name) or {} for name in names}
    if exact:
        needed = [name for name in names if name in model.required]
    else:
        needed = [n for n in fields if _is_needed_by(model, n, _needed(draft, fields), draft)]
    return object_of(
        {n: s if n in needed else _defaulted(s, n, model) for n, s in shapes.items()}, needed
    )


def _is_needed_by(model: PythonModel, name: str, needed: list[str], draft: Draft) -> bool:
    """The class decides for its fields; containers in it are often empty at first."""
    if name not in model.fields or draft.method == "PATCH":
        return name in needed and (name in model.required or name not in model.fields)
    is_plain = "$ref" not in model.fields[name] and not is_type(
        model.fields[name], "array", "object", "boolean"
    )
    stated = is_plain and name not in draft.optional_inputs
    return name in model.required and (name in needed or stated)


def _defaulted(shape: Shape, name: str, model: PythonModel) -> Shape:
    if name in model.defaults and model.defaults[name] is not None:
        return {**shape, "default": model.defaults[name]}
    return nullable(shape)


def _needed(draft: Draft, fields: dict[str, Shape]) -> list[str]:
    """Scalars are needed; containers, switches and what is often left out are not."""
    if draft.method == "PATCH":
        return []
    if said := {path for path, statement in draft.statements.items() if statement.required}:
        return [name for name in fields if name in said]
    return [
        name
        for name, shape in fields.items()
        if (
            name not in draft.optional_inputs
            and not _OFTEN_OPTIONAL.search(name)
            and shape.get("type") in ("string", "integer", "number", "array")
            and "default" not in shape
            and not (draft.request and _is_null(draft.request, name))
        )
        or name in draft.required_inputs
        or name in required(draft.request.shape if draft.request else None)
    ]


def _is_null(body: Body, name: str) -> bool:
    says_nothing = not properties(body.shape).get(name)
    return says_nothing and isinstance(body.example, dict) and body.example.get(name, 0) is None


def response_shape(draft: Draft) -> Shape:
    """The shape of the answer as far as the SPEC says it; `{}` if it does not."""
    if draft.response is not None:
        return draft.response.shape
    fields = {name: draft.promised.get(name) or guess(name) for name in draft.outputs}
    return object_of(fields) if fields else {}
