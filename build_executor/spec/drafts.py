"""What a SPEC says of one endpoint, before anything is inferred from it.

A draft is the meeting point of all inputs: Markdown in any dialect and OpenAPI documents both end
in drafts, and only drafts are read from here on.
"""

from dataclasses import dataclass, field

from pydantic import JsonValue

from build_executor.spec.contract import Parameter, Shape
from build_executor.spec.statements import Statement


@dataclass(slots=True)
class Body:
    """A request or response body: an example, a shape, or both."""

    shape: Shape
    example: JsonValue = None
    line: int = 0
    declared: Shape | None = None
    """The shape as a document declares it, with its references."""


@dataclass(slots=True)
class Draft:
    """One endpoint as written: nothing in it was guessed."""

    method: str
    path: str
    line: int
    summary: str = ""
    section: str = ""
    request: Body | None = None
    response: Body | None = None
    unlabelled: list[Body] = field(default_factory=list)
    query: dict[str, JsonValue] = field(default_factory=dict)
    parameters: list[Parameter] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    optional_inputs: list[str] = field(default_factory=list)
    required_inputs: list[str] = field(default_factory=list)
    stated: dict[str, Shape] = field(default_factory=dict)
    """The types that the text names for inputs."""
    promised: dict[str, Shape] = field(default_factory=dict)
    """The types that the text names for outputs."""
    statements: dict[str, Statement] = field(default_factory=dict)
    """What the text demands of fields, by their dotted paths."""
    outputs: list[str] = field(default_factory=list)
    request_model: str | None = None
    response_model: str | None = None
    success: int | None = None
    errors: dict[int, str] = field(default_factory=dict)
    prose: list[str] = field(default_factory=list)
    exact: bool = False
    """Whether the shapes are a schema that was given, not examples."""
    operation_id: str | None = None
    secured: bool = False
    media_type: str = "application/json"

    @property
    def label(self) -> str:
        """Such as `POST /payments`."""
        return f"{self.method} {self.path}"

    @property
    def is_stream(self) -> bool:
        """Whether it is a WebSocket."""
        return self.method == "WS"

    @property
    def text(self) -> str:
        """Everything said about the endpoint in prose, in lower case."""
        said = [self.summary, *self.prose, *self.errors.values()]
        return ". ".join(text for text in said if text).lower()
