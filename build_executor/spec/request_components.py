"""Request bodies as components, so that each has a name in the generated code."""

from build_executor.spec.contract import Shape
from build_executor.spec.naming import pascal, unique_name
from build_executor.spec.places import segments
from build_executor.spec.shapes import BOUNDS, is_type, properties
from build_executor.spec.situation import Classified
from build_executor.spec.workbench import Workbench


def named_request(member: Classified, sent: Shape | None, bench: Workbench) -> Shape | None:
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
