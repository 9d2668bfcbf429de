"""What an answer gives away: the list it holds, the ids it returns, whether it adds up."""

import re
from collections.abc import Mapping

from build_executor.spec.bodies import response_shape
from build_executor.spec.drafts import Draft
from build_executor.spec.shapes import is_array, is_type, properties

AGGREGATES = re.compile(r"stat|summar|count|metric|overview|dashboard|total|analytic|aggregate")
"""Words of a path whose answer adds records up."""


def list_key(draft: Draft) -> str | None:
    """The key of an answer that holds the list, if exactly one plausible key does."""
    fields = properties(response_shape(draft))
    if draft.response and is_array(draft.response.shape):
        return None
    lists = [name for name, shape in fields.items() if is_type(shape, "array")]
    objects = [n for n in lists if is_type_of_items(fields[n], "object")]
    return next(iter(objects or lists), None)


def is_type_of_items(shape: Mapping[str, object], kind: str) -> bool:
    """Whether the shape is a list of such values, or of unknown ones."""
    items = shape.get("items")
    return not items or (isinstance(items, dict) and (is_type(items, kind) or "$ref" in items))


def returned_ids(draft: Draft) -> list[str]:
    """The ids that the answer holds, by name."""
    fields = list(properties(draft.response.shape)) if draft.response else draft.outputs
    return [name for name in fields if name == "id" or name.endswith("_id")]
