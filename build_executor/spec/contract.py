"""What a service must expose and do: derived from its SPEC once, frozen, and never edited later.

The contract is what everything else is judged by: the code and its tests are generated from it, and
verification asks the running service what the contract says. Shapes are JSON Schema, as in
OpenAPI 3.1, so that a SPEC in Markdown and an OpenAPI document end in the same form.
"""

import hashlib
import json
from typing import Literal

from pydantic import Field, JsonValue

from build_executor.models import Value

Shape = dict[str, JsonValue]
"""A JSON Schema; `{}` allows any value."""


class Parameter(Value):
    """One value outside the body of a request."""

    name: str
    location: Literal["path", "query", "header"]
    shape: Shape = Field(default_factory=dict)
    required: bool = False
    purpose: Literal[
        "identity",
        "parent",
        "filter",
        "minimum",
        "maximum",
        "search",
        "limit",
        "offset",
        "page",
        "sort",
        "order",
        "unused",
    ] = "unused"
    field: str | None = Field(default=None, description="the stored field it looks at")


class Assignment(Value):
    """How a field of a record gets its value when an operation changes the record."""

    field: str
    source: Literal[
        "literal", "now", "template", "parameter", "body", "count", "uptime", "token", "user"
    ]
    value: JsonValue = None


class Counter(Value):
    """A field of an answer counted from rows: all of them, or those whose `field` `equals`."""

    name: str
    resource: str
    field: str | None = None
    equals: JsonValue = None
    today: bool = False
    matching: bool = Field(default=False, description="only the rows that the filters select")
    total_of: str | None = Field(default=None, description="summed instead of counted")


class Reference(Value):
    """A field of a request that must name an existing record of another resource."""

    field: str
    resource: str


class Effect(Value):
    """What an operation does to records; which parts are used depends on its rule."""

    id_parameter: str | None = None
    parents: tuple[Reference, ...] = Field(default=(), description="path parameter -> resource")
    references: tuple[Reference, ...] = Field(default=(), description="body field -> resource")
    assignments: tuple[Assignment, ...] = Field(default=(), description="what is stored")
    answers: tuple[Assignment, ...] = Field(default=(), description="what is only answered")
    collection: str | None = Field(default=None, description="the list's key; None: a bare array")
    counters: tuple[Counter, ...] = ()
    target: JsonValue = Field(default=None, description="the status after a transition")
    rejected: JsonValue = Field(default=None, description="the status when the body says no")
    decision: str | None = Field(default=None, description="the body's boolean that decides")
    allowed_from: tuple[str, ...] = Field(default=(), description="empty: any non-terminal status")
    refused_from: tuple[str, ...] = Field(default=(), description="besides the terminal ones")
    idempotent: bool = False
    wraps: str | None = Field(default=None, description="the answer's key that holds the record")
    newest_first: bool = False


class Operation(Value):
    """One endpoint: how it is called, what it answers, and the rule that implements it."""

    method: str = Field(description='"GET", "POST", ... or "WS"')
    path: str
    kind: Literal["udc", "business"] = "business"
    spec_line: int
    name: str = Field(description="its identifier in code, unique in the contract")
    summary: str = ""
    rule: str = Field(
        description='"create", "read", "list", ...; "stub": none; "written": by hand or by a model'
    )
    resource: str | None = None
    success_status: int = 200
    errors: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    request: Shape | None = None
    response: Shape | None = None
    request_example: JsonValue = None
    response_example: JsonValue = None
    promised: Shape | None = Field(
        default=None, description="the answer that the SPEC shows of a stub, which gives none"
    )
    effect: Effect = Effect()
    media_type: str = "application/json"
    secured: bool = Field(default=False, description="only with a token of the service")
    owned: bool = Field(default=False, description="only what the caller made")

    @property
    def label(self) -> str:
        """Such as `GET /payments/{payment_id}`."""
        return f"{self.method} {self.path}"

    def parameters_in(self, location: str) -> tuple[Parameter, ...]:
        """The parameters of one location, in the SPEC's order."""
        return tuple(p for p in self.parameters if p.location == location)


class Resource(Value):
    """Records of one kind that the service keeps."""

    name: str = Field(description="plural, an identifier")
    singular: str
    id_field: str
    id_type: Literal["string", "integer"] = "string"
    id_prefix: str = ""
    shape: Shape = Field(default_factory=dict, description="all fields a record may have")
    status_field: str | None = None
    initial_status: JsonValue = None
    terminal: tuple[str, ...] = ()
    states: tuple[str, ...] = Field(default=(), description="all that the SPEC names")
    unique: tuple[str, ...] = ()
    parents: tuple[Reference, ...] = Field(
        default=(), description="stored field -> the resource it belongs to"
    )
    soft_delete: str | None = Field(default=None, description="the status a deleted record gets")
    secret: tuple[str, ...] = Field(default=(), description="fields never answered")
    creatable: bool = True
    always: tuple[str, ...] = Field(default=(), description="fields that every create sends")
    line: int


class Auth(Value):
    """How callers prove who they are: accounts of this service, and tokens that it issues."""

    resource: str
    id_field: str
    login_field: str
    password_field: str


class Dependency(Value):
    """Another service that this one needs; only the name counts, the address is configured."""

    name: str
    url: str | None = None
    required: bool = True


class Note(Value):
    """Something the reader of the contract should know: an assumption made, or a gap left."""

    line: int
    message: str
    operation: str | None = None

    def __str__(self) -> str:
        """One line for a report."""
        subject = f"{self.operation}: " if self.operation else ""
        return f"line {self.line}: {subject}{self.message}"


class Contract(Value):
    """Everything a generated service must honour, with the SPEC line of each demand."""

    service: str
    version: str = "1.0.0"
    title: str = ""
    description: str = ""
    port: int | None = None
    port_source: str | None = None
    operations: tuple[Operation, ...] = ()
    resources: tuple[Resource, ...] = ()
    components: dict[str, Shape] = Field(default_factory=dict)
    dependencies: tuple[Dependency, ...] = ()
    features: tuple[str, ...] = ()
    auth: Auth | None = None
    invalid_status: int = Field(default=422, description="the answer to an invalid request")
    declared: bool = Field(default=False, description="its shapes were given, not inferred")
    base_path: str = Field(default="", description="a prefix below which everything answers too")
    udc_examples: dict[str, JsonValue] = Field(default_factory=dict)
    assumptions: tuple[Note, ...] = ()
    gaps: tuple[Note, ...] = ()
    openapi: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of the contract's canonical JSON, hexadecimal."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def business(self) -> tuple[Operation, ...]:
        """The operations that are not part of the UDC."""
        return tuple(operation for operation in self.operations if operation.kind == "business")

    def resource(self, name: str | None) -> Resource | None:
        """The resource of this name, if there is one."""
        return next((resource for resource in self.resources if resource.name == name), None)
