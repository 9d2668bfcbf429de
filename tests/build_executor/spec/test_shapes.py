from build_executor.spec.contract import Shape
from build_executor.spec.shapes import properties, unbounded


def test_what_is_not_sent_inside_an_answer_may_be_null_and_has_no_limits() -> None:
    inner: Shape = {
        "type": "object",
        "properties": {"by": {"type": "string", "maxLength": 3}, "at": {"type": "integer"}},
        "required": ["at"],
    }
    shape: Shape = {"type": "object", "properties": {"entries": {"type": "array", "items": inner}}}

    answered = unbounded(shape)

    entries = properties(answered)["entries"]
    assert entries["type"] == ["array", "null"]
    assert properties(entries | {"type": "array"}) == {
        "by": {"type": ["string", "null"]},
        "at": {"type": "integer"},
    }
