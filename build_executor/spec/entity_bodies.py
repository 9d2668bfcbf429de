"""Bodies that a SPEC leaves out, because it says what a record is: its fields are what is sent."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import cast

from build_executor.spec.contract import Note
from build_executor.spec.drafts import Draft
from build_executor.spec.naming import pascal, snake
from build_executor.spec.places import Collection
from build_executor.spec.python_models import PythonModel
from build_executor.spec.situation import Classified
from build_executor.spec.verbs import STATUS_NAMES

_BY_SERVER = re.compile(r"^(?:.*_at|timestamp|created|updated|created_on|updated_on|id|uuid)$")
_TAKES_BODY = {"create": "POST", "replace": "PUT", "update": "PATCH"}


def with_bodies(
    members: Iterable[Classified], models: Mapping[str, PythonModel], notes: list[Note]
) -> dict[str, PythonModel]:
    """The models, and one more for each create or change without a body.

    It has what the record's model says a caller may set.
    """
    lent: dict[str, PythonModel] = {}
    for member in members:
        entity = _entity_of(member, models) if _lacks_body(member) else None
        if entity is not None and (body := _body(member, entity)).fields:
            draft = member.draft
            lent[body.name] = body
            draft.request_model = body.name
            message = f"its body is not shown: it takes the fields of `{entity.name}`"
            notes.append(Note(line=draft.line, message=message, operation=draft.label))
    return {**models, **lent}


def _lacks_body(member: Classified) -> bool:
    draft: Draft = member.draft
    is_shown = draft.exact or draft.request or draft.inputs or draft.request_model
    return not is_shown and not member.verb and _TAKES_BODY.get(member.rule) == draft.method


def _entity_of(member: Classified, models: Mapping[str, PythonModel]) -> PythonModel | None:
    """The model named as the collection, or the only one that has the collection's parameter."""
    collection = cast("Collection", member.collection)
    named = [model for name, model in models.items() if snake(name) == collection.singular]
    holders = [m for m in models.values() if collection.parameter in m.fields]
    if named:
        return named[0]
    return holders[0] if len(holders) == 1 and collection.parameter != "id" else None


def _body(member: Classified, entity: PythonModel) -> PythonModel:
    """Without what the service sets itself, and without what the path says already."""
    own = member.collection.parameter if member.collection else None
    is_named_in_path = f"{{{own}}}" in member.draft.path
    kept = {
        name: shape
        for name, shape in entity.fields.items()
        if not (shape.get("readOnly") or _BY_SERVER.match(snake(name)))
        and name not in STATUS_NAMES
        and f"{{{name}}}" not in member.draft.path
        and not (name == own and (is_named_in_path or snake(name).endswith("id")))
    }
    needed = () if member.rule == "update" else entity.required
    name = f"{entity.name}{pascal(member.rule)}Input"
    defaults = {n: v for n, v in entity.defaults.items() if member.rule != "update"}
    return replace(entity, name=name, fields=kept, required=needed, defaults=defaults)
