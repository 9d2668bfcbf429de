"""What bounds a single value in a JSON Schema: how large, how long, how many."""

from collections.abc import Iterator

from pydantic import JsonValue

from build_executor.spec.contract import Shape

_LOWER = {"minimum": "exclusiveMinimum", "minLength": "", "minItems": "", "minProperties": ""}
_UPPER = {"maximum": "exclusiveMaximum", "maxLength": "", "maxItems": "", "maxProperties": ""}
LIMIT_WORDS = frozenset({*_LOWER, *_UPPER, "exclusiveMinimum", "exclusiveMaximum"})

_Limit = tuple[float, bool]


def exceeded_limits(given: Shape, taken: Shape) -> Iterator[str]:
    """Each limit of `taken` that what is `given` may exceed, such as `minLength 3`."""
    for words, sign in ((_LOWER, 1), (_UPPER, -1)):
        for inclusive, exclusive in words.items():
            limit = _limit(taken, inclusive, exclusive, sign)
            own = _limit(given, inclusive, exclusive, sign)
            if limit is not None and (own is None or own < limit):
                yield f"{inclusive} {sign * limit[0]:g}"


def _limit(shape: Shape, inclusive: str, exclusive: str, sign: int) -> _Limit | None:
    """The stricter of the two; with its sign, the larger of two limits lets less through."""
    limits = [
        (sign * number, is_exclusive)
        for word, is_exclusive in ((inclusive, False), (exclusive, True))
        if (number := _number(shape.get(word))) is not None
    ]
    return max(limits, default=None)


def _number(value: JsonValue) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
