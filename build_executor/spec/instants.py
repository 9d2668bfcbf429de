"""The times that a record keeps: which fields hold one, and in what form the present is kept."""

import re

from build_executor.spec.contract import Assignment, Resource, Shape
from build_executor.spec.naming import snake
from build_executor.spec.shapes import is_type, properties

TOUCHED = re.compile(
    r"^(?:updated|modified|changed|last_updated|last_modified|last_changed)(?:_at|_on)?$"
)
"""Names of the times that every change sets."""


def touch(resource: Resource) -> tuple[Assignment, ...]:
    """The times that every change of a record sets."""
    return tuple(
        moment(name, shape)
        for name, shape in properties(resource.shape).items()
        if TOUCHED.match(snake(name))
    )


def moment(name: str, shape: Shape) -> Assignment:
    """The present time in the form that the field has: text, or seconds since the epoch."""
    if is_type(shape, "integer", "number") and not is_type(shape, "string"):
        kind = "integer" if is_type(shape, "integer") else "number"
        return Assignment(field=name, source="now", value=kind)
    return Assignment(field=name, source="now")
