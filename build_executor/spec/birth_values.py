"""What stands in each field of a new record that the caller does not send."""

import re
from collections.abc import Iterator

from build_executor.spec.contract import Assignment, Resource, Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.instants import TOUCHED, moment
from build_executor.spec.kinds import Kind
from build_executor.spec.naming import singular, snake
from build_executor.spec.shapes import is_instant_name, is_type, properties
from build_executor.spec.verbs import targets
from build_executor.spec.zeros import zero_of

_BIRTH = re.compile(
    r"^(?:created|submitted|registered|queued|received|inserted|added|requested|joined|opened|placed"
    r"|uploaded|started_on|posted|recorded)(?:_at|_on|_time)?$|^(?:timestamp|created_time)$"
)
_FUTURE = re.compile(
    r"estimat|expir|due|deadline|scheduled|until|next|complete|finish|end|start|expected"
)
_COUNTED = re.compile(
    r"count$|retries$|attempts$|progress|views$|likes$|version$|points$|clicks$|uses$"
)
_LINK = re.compile(r".*(?:url|uri|link|href|path)$")
_HOST = re.compile(r"^(?:https?|wss?)://[^/]+(?=/)")
_POSITION = re.compile(r"^(?:queue_)?position$")


def birth_values(
    draft: Draft, kind: Kind, resource: Resource, given: set[str]
) -> Iterator[Assignment]:
    """The value of each field that is not in `given`, where something tells it."""
    of_parents = list(_from_path(draft, resource, given))
    yield from of_parents
    linked = {p.field for p in resource.parents} | {a.field for a in of_parents}
    for name, shape in properties(resource.shape).items():
        if name in given | linked | {resource.id_field}:
            continue
        value = _birth_value(draft, kind, resource, name) or _empty(kind, name, shape)
        if value is not None:
            yield value


def _from_path(draft: Draft, resource: Resource, given: set[str]) -> Iterator[Assignment]:
    """The parents that the path names, under each field that holds one."""
    for name in sorted({parent.field for parent in resource.parents} - {resource.id_field}):
        if f"{{{name}}}" in draft.path:
            for field in (name, *sorted(_aliases(name, resource) - given)):
                yield Assignment(field=field, source="parameter", value=name)


def _aliases(parameter: str, resource: Resource) -> set[str]:
    """Fields that hold the same parent as a path parameter: `room_id` for `{roomId}`."""
    noun = next(p.resource for p in resource.parents if p.field == parameter)
    spoken = {snake(parameter), f"{singular(noun)}_id"}
    return {n for n in properties(resource.shape) if snake(n) in spoken and n != parameter}


def _birth_value(draft: Draft, kind: Kind, resource: Resource, name: str) -> Assignment | None:
    if name == resource.status_field:
        return Assignment(field=name, source="literal", value=resource.initial_status)
    spoken = snake(name)
    if _BIRTH.match(spoken) or TOUCHED.match(spoken) or _is_answered_instant(draft, kind, name):
        return moment(name, properties(resource.shape)[name])
    if _POSITION.match(spoken):
        return Assignment(field=name, source="count")
    owner = _OWNERS.get(spoken) if draft.secured else None
    if owner is not None:
        return Assignment(field=name, source="user", value=owner)
    template = _template(draft, resource, name)
    if template is not None:
        return Assignment(field=name, source="template", value=template)
    return _initial_value(kind, name, properties(resource.shape)[name]) or _blank(draft, name)


def _blank(draft: Draft, name: str) -> Assignment | None:
    """What an example shows as none or as nothing yet, at birth, is so at every birth."""
    example = draft.response.example if draft.response else None
    value = example.get(name) if isinstance(example, dict) else None
    is_blank = value is False or (not value and isinstance(value, int | float | list | dict))
    return Assignment(field=name, source="literal", value=value) if is_blank else None


_OWNERS = dict.fromkeys(
    ("user_id", "owner_id", "author_id", "account_id", "created_by_id"), "id"
) | (dict.fromkeys(("author", "owner", "username", "created_by"), "login"))


def _initial_value(kind: Kind, name: str, shape: Shape) -> Assignment | None:
    if kind.model is not None and kind.model.defaults.get(name) is not None:
        return Assignment(field=name, source="literal", value=kind.model.defaults[name])
    if shape.get("default") is not None:
        return Assignment(field=name, source="literal", value=shape["default"])
    if _COUNTED.search(name) and is_type(shape, "integer", "number"):
        return Assignment(field=name, source="literal", value=0)
    return None


def _is_answered_instant(draft: Draft, kind: Kind, name: str) -> bool:
    """A time in the answer to a create is the time of creation, unless it lies ahead.

    `sent_at` lies ahead where something can be sent, and so does what may be null.
    """
    shape = properties(draft.response.shape).get(name) if draft.response else None
    spoken = snake(name)
    if shape is None or not is_instant_name(spoken) or _FUTURE.search(spoken):
        return False
    verbs = {member.verb for member in kind.members if member.rule == "transition"}
    later = {word for verb in verbs for word in targets(verb)}
    may_be_null = isinstance(shape.get("type"), list)
    return not may_be_null and re.sub(r"_(?:at|on|time)$", "", spoken) not in later


def _template(draft: Draft, resource: Resource, name: str) -> str | None:
    """`/builds/{build_id}/status`, or such an address with the example's own id in it.

    The host of an example is not this service's: the path alone is answered.
    """
    example = draft.response.example if draft.response else None
    text = example.get(name) if isinstance(example, dict) else None
    if not isinstance(example, dict) or not isinstance(text, str) or not _LINK.match(name):
        return None
    path, own = _HOST.sub("", text), example.get(resource.id_field)
    if isinstance(own, str) and own:
        path = path.replace(own, f"{{{resource.id_field}}}")
    names = set(re.findall(r"\{(\w+)\}", path))
    return path if names and names <= {resource.id_field, "id"} and path.startswith("/") else None


def _empty(kind: Kind, name: str, shape: Shape) -> Assignment | None:
    """A list or map that every record has starts empty."""
    if name in kind.promised:
        return Assignment(field=name, source="literal", value=zero_of(shape))
    if kind.model is None or name not in kind.model.required:
        return None
    if is_type(shape, "array"):
        return Assignment(field=name, source="literal", value=[])
    if is_type(shape, "object") and "$ref" not in shape:
        return Assignment(field=name, source="literal", value={})
    return None
