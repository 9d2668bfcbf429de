import jsonschema
import pytest

from build_executor.checks.udc import status_message
from build_executor.spec.contract import Operation, Parameter, Shape
from build_executor.spec.derivation import derive_contract
from build_executor.spec.openapi_form import error_codes, needs_body

SPEC = """# SPEC: note-keeper

## Endpoints

### POST /notes
```json
{"text": "Buy milk"}
```
Returns:
```json
{"note_id": "1", "text": "Buy milk", "created_at": "2026-01-02T03:04:05Z"}
```
"""
COMPONENTS: dict[str, Shape] = {
    "Wish": {"type": "object", "properties": {"why": {}}},
    "Order": {"type": "object", "properties": {"why": {}}, "required": ["why"]},
}


def operation(rule: str, request: Shape | None) -> Operation:
    path = "/orders/{order_id}/cancel"
    return Operation(method="POST", path=path, spec_line=1, name="it", rule=rule, request=request)


@pytest.mark.parametrize(
    ("rule", "request_shape", "needed"),
    [
        ("transition", {"$ref": "#/components/schemas/Wish"}, False),
        ("transition", {"$ref": "#/components/schemas/Order"}, True),
        ("create", {"$ref": "#/components/schemas/Wish"}, True),
        ("transition", {}, True),
    ],
)
def test_a_body_in_which_nothing_is_required_may_be_left_out(
    rule: str, request_shape: Shape, *, needed: bool
) -> None:
    assert needs_body(operation(rule, request_shape), COMPONENTS) is needed


def test_the_document_says_what_a_message_of_the_mesh_looks_like() -> None:
    operations = derive_contract(SPEC).operations
    shape = next(o.request or {} for o in operations if o.label == "POST /message")

    jsonschema.validate(status_message("note-keeper"), shape)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({}, shape)


@pytest.mark.parametrize(
    ("rule", "code"), [("create", 409), ("transition", 409), ("login", 401), ("list", None)]
)
def test_the_document_tells_how_a_rule_refuses(rule: str, code: int | None) -> None:
    expected = {400, 404, 422} | ({code} if code else set())

    found = error_codes(
        operation(rule, {}).model_copy(
            update={"parameters": (Parameter(name="order_id", location="path"),)}
        )
    )

    assert set(found) == expected
