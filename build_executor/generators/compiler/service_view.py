"""What the templates of a service need to know, computed from its contract."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from build_executor.generators.compiler.annotations import ModelNames
from build_executor.generators.compiler.bodies import Writer
from build_executor.generators.compiler.text import literal, sentence, text_literal
from build_executor.spec.contract import Contract, Operation, Parameter, Shape
from build_executor.spec.naming import pascal, variable
from build_executor.spec.openapi_form import error_codes, needs_body
from build_executor.spec.places import segments
from build_executor.spec.report import status_of
from build_executor.spec.shapes import is_type, object_of

_DESCRIPTIONS = {
    400: "The body is not JSON",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    409: "Not possible in the present state",
    501: "Not implemented",
}
_LEAST_ERROR, _LEAST_SERVER_ERROR = 400, 500
_TITLE_LIMIT = 80
_ASKS_WHO = frozenset({"me", "logout", "written"})
_ANY_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class OperationView:
    """One operation as the templates write it."""

    name: str
    rule: str
    path: str
    methods: tuple[str, ...]
    status: int
    title: str
    doc: str
    responses: str
    parameters: str
    handler_parameters: str
    call: str
    returns: str
    handler_returns: str
    body: tuple[str, ...]
    stream_resource: str | None
    stream_id: str
    unset_excluded: bool = False
    guarded: bool = False


class ServiceView:
    """The operations of one contract and the classes that they use."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.names = ModelNames(contract.components)
        self._writer = Writer(contract)
        for component in contract.components:
            if contract.components[component].get("properties"):
                self.names.class_of(component)
        self.operations = tuple(self._view(o) for o in sorted_routes(contract.business))

    def _view(self, operation: Operation) -> OperationView:
        answer = self._answer(operation)
        inputs = list(self._inputs(operation))
        identity = operation.effect.id_parameter
        return OperationView(
            name=operation.name,
            rule=operation.rule,
            path=_framework_path(operation),
            methods=_ANY_METHODS if operation.method == "ANY" else (operation.method.lower(),),
            status=operation.success_status,
            title=" ".join(operation.summary.split())[:_TITLE_LIMIT],
            doc=sentence(operation.summary, operation.name.replace("_", " ").capitalize()),
            responses=_responses(operation),
            parameters=", ".join(
                ["repository: Repository" if not _is_pure(operation) else ""]
                * (not _is_pure(operation))
                + [f"{name}: {annotation}" for name, annotation, _ in inputs]
            ),
            handler_parameters=", ".join(self._handler(operation, inputs)),
            call=", ".join(
                [*([] if _is_pure(operation) else ["store"]), *(n for n, _, _ in inputs)]
            ),
            returns=answer,
            handler_returns="None" if answer == "NoReturn" else answer,
            body=tuple(self._writer.body(operation, answer)) if operation.rule != "stream" else (),
            unset_excluded=self.contract.declared and answer not in {"None", "NoReturn"},
            guarded=operation.secured and not _uses_caller(operation),
            stream_resource=operation.resource,
            stream_id=variable(identity) if identity else "None",
        )

    def _answer(self, operation: Operation) -> str:
        """The annotation of what the operation returns."""
        if operation.rule == "stub":
            return "NoReturn"
        shape = operation.response
        if shape is None or operation.rule == "stream":
            return "None"
        annotation = self.names.annotation(shape, f"{operation.name} response")
        return "dict[str, Any]" if annotation == "Any" else annotation

    def _inputs(self, operation: Operation) -> Iterator[tuple[str, str, str]]:
        """(name, annotation in the logic, annotation in the endpoint) of each input."""
        for parameter in operation.parameters_in("path"):
            kind = self._path_type(operation, parameter)
            name = variable(parameter.name)
            same = name == parameter.name
            alias = f"Path(alias={text_literal(parameter.name)})"
            yield name, kind, kind if same else f"Annotated[{kind}, {alias}]"
        if operation.request is not None and operation.method not in {"WS", "GET", "ANY"}:
            yield self._body(operation)
        if operation.parameters_in("query") and operation.rule in {"list", "written"}:
            name = self._query_class(operation)
            yield "query", name, f"Annotated[{name}, Query()]"
        yield from _inputs_of_effect(operation)

    def _path_type(self, operation: Operation, parameter: Parameter) -> str:
        resource = self.contract.resource(operation.resource)
        is_own = parameter.name == operation.effect.id_parameter and resource is not None
        if is_own and resource is not None and resource.id_type == "integer":
            return "int"
        return "int" if is_type(parameter.shape, "integer") else "str"

    def _body(self, operation: Operation) -> tuple[str, str, str]:
        shape = cast("Shape", operation.request)
        annotation = self.names.annotation(shape, f"{operation.name} request")
        if annotation == "Any":
            annotation = "dict[str, Any]"
        is_class = annotation in self.names.classes
        if is_class and not needs_body(operation, self.contract.components):
            return (
                "body",
                annotation,
                f"Annotated[{annotation}, Body(default_factory={annotation})]",
            )
        return "body", annotation, annotation if is_class else f"Annotated[{annotation}, Body()]"

    def _query_class(self, operation: Operation) -> str:
        members = {p.name: p.shape or {"type": "string"} for p in operation.parameters_in("query")}
        needed = [p.name for p in operation.parameters_in("query") if p.required]
        component = f"{pascal(operation.name)}Query"
        return self.names.lax_class(component, object_of(members, needed))

    def _handler(self, operation: Operation, inputs: list[tuple[str, str, str]]) -> Iterator[str]:
        if operation.rule == "stream":
            yield "websocket: WebSocket"
        needed = [f"{name}: {annotation}" for name, _, annotation in inputs]
        yield from (text for text in needed if not text.endswith(" = None"))
        if operation.rule != "stream" and not _is_pure(operation):
            yield "store: Store"
        yield from (text for text in needed if text.endswith(" = None"))


def _inputs_of_effect(operation: Operation) -> Iterator[tuple[str, str, str]]:
    """What the operation needs besides its path, body and query."""
    if operation.effect.idempotent:
        yield "idempotency_key", "str | None", "Annotated[str | None, Header()] = None"
    if _uses_caller(operation):
        yield "user", "Record", "Caller"
    if any(a.source == "uptime" for a in operation.effect.answers):
        yield "uptime_seconds", "int", "Uptime"


def _uses_caller(operation: Operation) -> bool:
    """Whether the operation needs to know who calls."""
    named = any(a.source == "user" for a in operation.effect.assignments)
    return operation.secured and (operation.owned or named or operation.rule in _ASKS_WHO)


def _is_pure(operation: Operation) -> bool:
    """Whether the operation needs no records."""
    return operation.rule in {"stub", "information"}


def sorted_routes(operations: tuple[Operation, ...]) -> list[Operation]:
    """Literal paths before those with parameters, place by place; else the SPEC's order."""
    return sorted(
        operations,
        key=lambda o: (o.method == "ANY", [part.startswith("{") for part in segments(o.path)]),
    )


def _framework_path(operation: Operation) -> str:
    if operation.method == "ANY" and operation.path.endswith("}"):
        return f"{operation.path[:-1]}:path}}"
    return operation.path


def _responses(operation: Operation) -> str:
    codes = error_codes(operation)
    if operation.rule == "stub":
        codes = [code for code in codes if code == _LEAST_ERROR] + [501]
    described = [
        f'{code}: {{"description": {literal(_DESCRIPTIONS.get(code, "Refused"))}}}'
        for code in codes
        if code != 422  # noqa: PLR2004 - FastAPI documents it itself
    ]
    return "{" + ", ".join(described) + "}" if described else ""


def implementation_of(contract: Contract) -> dict[str, JsonValue]:
    """Operation -> implemented, derived, written or stub-501."""
    return {operation.label: status_of(operation, contract) for operation in contract.business}
