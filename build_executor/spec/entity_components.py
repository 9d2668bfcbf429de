"""The component of each resource: what a stored record looks like to a caller."""

from collections.abc import Sequence

from build_executor.spec.contract import Operation, Resource, Shape
from build_executor.spec.naming import pascal
from build_executor.spec.shapes import nullable, object_of, properties, unbounded


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
