import pytest
from pydantic import JsonValue

from build_executor.checks.expectations import difference, id_in, unknown_id
from build_executor.http_client import Answer
from build_executor.spec.contract import Effect, Operation, Parameter, Resource

PAYMENTS = Resource(
    name="payments", singular="payment", id_field="payment_id", secret=("pin",), line=1
)


def operation(**effect: str) -> Operation:
    return Operation(
        method="POST", path="/x", rule="create", spec_line=1, name="x", effect=Effect(**effect)
    )


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1}, {}),
        ({"pin": "1234"}, {"pin": "***"}),
        ({"at": "2026-01-02T03:04:05Z"}, {"at": "2026-01-02T03:04:05.000+00:00"}),
        (["no", "object"], {"a": 1}),
        ({"lines": [{"text": "a"}]}, {"lines": [{"text": "a", "tax": 0.2}]}),
    ],
)
def test_these_are_the_same_record(sent: JsonValue, answered: dict[str, JsonValue]) -> None:
    assert difference(sent, answered, PAYMENTS) is None


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ({"a": 1}, {"a": 2}),
        ({"lines": [{"text": "a"}]}, {"lines": [{"text": "b"}]}),
        ({"lines": [1]}, {"lines": [1, 2]}),
        ({"meta": {"a": 1}}, {"meta": {}}),
        ({"at": "2026-01-02T03:04:05Z"}, {"at": "2026-01-02T03:04:06Z"}),
        ({"at": "2026-01-02T03:04:05Z"}, {"at": "yesterday"}),
        ({"at": "2026-01-02T03:04:05Z"}, {"at": "2026-01-02T03:04:05"}),
    ],
)
def test_these_are_not(sent: JsonValue, answered: dict[str, JsonValue]) -> None:
    assert difference(sent, answered, PAYMENTS) is not None


@pytest.mark.parametrize(
    ("body", "wraps", "expected"),
    [
        ({"payment_id": "p1", "id": "i"}, "", "p1"),
        ({"id": 7}, "", "7"),
        ({"job_id": "j"}, "", "j"),
        ({"payment": {"payment_id": "p1"}}, "payment", "p1"),
        ({"status": "ok"}, "", None),
    ],
)
def test_the_id_is_found_in_the_answer(body: JsonValue, wraps: str, expected: str | None) -> None:
    answer = Answer(status=201, body=body)

    assert id_in(answer, operation(wraps=wraps), PAYMENTS) == expected


def test_an_unknown_id_has_the_type_of_the_known_ones() -> None:
    number = Parameter(name="n", location="path", shape={"type": "integer"})

    assert unknown_id(number).isdigit()
    assert "-" in unknown_id(None)
