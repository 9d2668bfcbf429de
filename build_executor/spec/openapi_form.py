"""The contract as an OpenAPI 3.1 document."""

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from build_executor.spec.contract import Operation, Parameter, Shape
from build_executor.spec.shapes import resolved

_REASONS = {
    400: "The body is not JSON",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    409: "Conflicts with the present state",
    422: "The request is not valid",
    501: "Not implemented: the SPEC does not say how",
}
_SERVER_ERROR = 500
_PROBLEM: Shape = {
    "type": "object",
    "properties": {"detail": {}},
    "required": ["detail"],
}


def to_openapi(
    title: str, version: str, operations: Sequence[Operation], components: Mapping[str, Shape]
) -> dict[str, JsonValue]:
    """The document; each operation carries the line of the SPEC that demands it."""
    paths: dict[str, dict[str, JsonValue]] = {}
    for operation in operations:
        if operation.method in {"WS", "ANY"}:
            continue
        item = paths.setdefault(operation.path, {})
        item[operation.method.lower()] = _operation(operation, components)
    schemas: dict[str, JsonValue] = {**components, "Problem": _PROBLEM}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": {**paths},
        "components": {"schemas": schemas},
    }


def _operation(operation: Operation, components: Mapping[str, Shape]) -> Shape:
    described: Shape = {
        "operationId": operation.name,
        "summary": operation.summary or operation.label,
        "x-spec-line": operation.spec_line,
        "x-rule": operation.rule,
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": _responses(operation),
    }
    if operation.request is not None:
        described["requestBody"] = {
            "required": needs_body(operation, components),
            "content": {operation.media_type: {"schema": operation.request}},
        }
    return described


def needs_body(operation: Operation, components: Mapping[str, Shape]) -> bool:
    """Whether the operation cannot be called without a body: something in it is required."""
    whole = resolved(operation.request or {}, components)
    return operation.rule == "create" or bool(whole.get("required")) or not whole.get("properties")


def _parameter(parameter: Parameter) -> Shape:
    return {
        "name": parameter.name,
        "in": parameter.location,
        "required": parameter.required or parameter.location == "path",
        "schema": parameter.shape or {"type": "string"},
    }


def _responses(operation: Operation) -> Shape:
    if operation.rule == "stub":
        return {"501": _problem(501)}
    success: Shape = {"description": "Done"}
    if operation.response is not None:
        success["content"] = {"application/json": {"schema": operation.response}}
    return {
        str(operation.success_status): success,
        **{str(code): _problem(code) for code in error_codes(operation)},
    }


def _problem(code: int) -> Shape:
    return {
        "description": _REASONS.get(code, "An error"),
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def error_codes(operation: Operation) -> list[int]:
    """The error codes that an operation may answer with, as its rule and the SPEC say."""
    codes = {code for code in operation.errors if code < _SERVER_ERROR}
    if operation.secured or operation.rule == "login":
        codes.add(401)
    if operation.request is not None:
        codes |= {400, 422}
    if operation.parameters_in("query"):
        codes.add(422)
    if operation.parameters_in("path") or operation.effect.references:
        codes.add(404)
    if operation.rule in {"transition", "create", "written"}:
        codes.add(409)  # what is there already is not made again
    return sorted(codes)
