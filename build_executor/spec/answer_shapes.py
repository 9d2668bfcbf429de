"""The shapes of answers, where all that nothing computes may be null."""

from collections.abc import Iterable

from build_executor.spec.bodies import response_shape
from build_executor.spec.contract import Effect, Resource, Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.kinds import Kind, wrapper_of
from build_executor.spec.naming import pascal
from build_executor.spec.shapes import is_type, nullable, object_of, properties
from build_executor.spec.situation import Classified


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


def wrapper_in_answer(member: Classified, kind: Kind) -> str | None:
    """The key that the answer wraps the record in, if it does."""
    return wrapper_of(kind, properties(response_shape(member.draft)))


def record_answer(member: Classified, kind: Kind, resource: Resource, effect: Effect) -> Shape:
    """The record itself, wrapped if the SPEC wraps it, with what is said beside it."""
    reference: Shape = {"$ref": f"#/components/schemas/{pascal(resource.singular)}"}
    answered = properties(response_shape(member.draft))
    beside = {a.field: answered.get(a.field, {}) for a in effect.answers}
    wrapper = wrapper_in_answer(member, kind)
    if member.draft.exact:
        return declared_answer(member.draft)
    if wrapper is not None:
        return object_of({wrapper: reference, **beside}, [wrapper])
    return reference


def declared_answer(draft: Draft) -> Shape:
    """The answer as the document declares it; any object if it declares none."""
    declared = draft.response.declared if draft.response else None
    return {"type": "object"} if declared is None else declared
