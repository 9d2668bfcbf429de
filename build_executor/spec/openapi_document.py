"""An OpenAPI 3 document as a SPEC: its operations as drafts, its schemas as they are."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import yaml
from pydantic import JsonValue

from build_executor.errors import SpecRefused
from build_executor.spec.contract import Parameter, Shape
from build_executor.spec.drafts import Body, Draft
from build_executor.spec.header import Header
from build_executor.spec.naming import slug
from build_executor.spec.openapi_shapes import inlined, normal_shape
from build_executor.spec.refusals import Refusal, refuse_too_many
from build_executor.spec.routes import normal_path

_IS_OPENAPI = re.compile(r"^\s*[{\s]*[\"']?(?:openapi|swagger)[\"']?\s*:", re.MULTILINE)
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
_JSON_TYPES = re.compile(r"application/(?:[\w.+-]*\+)?json|\*/\*")
_DEFAULT_PORTS = frozenset({None, 80, 443})
_DEEPEST_REFERENCE = 8
_DEEPEST_DOCUMENT = 60

Json = dict[str, JsonValue]


class _Loader(yaml.CSafeLoader):
    """YAML as JSON: without dates."""


_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:timestamp"]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Document:
    """What was read: the header, the operations, the named schemas, where it is served."""

    header: Header
    drafts: tuple[Draft, ...]
    components: dict[str, Shape]
    base_path: str


def is_openapi(text: str) -> bool:
    """Whether the text looks like an OpenAPI document and not like prose about one."""
    start = text.lstrip()[:4000]
    return not start.startswith("#") and bool(_IS_OPENAPI.search(start[:2000]))


def read_openapi(text: str) -> Document:
    """The document; SpecRefused if it is not OpenAPI 3 or cannot be parsed."""
    data = _parsed(text)
    version = data.get("openapi")
    if not isinstance(version, str | float) or not str(version).startswith("3."):
        raise _refused("only OpenAPI 3.0 and 3.1 are understood")
    reader = _Reader(data, text.split("\n"))
    drafts = tuple(reader.drafts())
    if not drafts:
        raise SpecRefused(Refusal.PROSE, "the document has no operations", 1)
    return Document(reader.header(), drafts, reader.components, reader.base_path())


def _refused(message: str, line: int | None = 1) -> SpecRefused:
    return SpecRefused(Refusal.INVALID_OPENAPI, message, line)


def _parsed(text: str) -> Json:
    try:
        data = json.loads(text) if text.lstrip().startswith("{") else _from_yaml(text)
    except (ValueError, RecursionError) as error:
        raise _refused(f"not JSON: {error}"[:200]) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _refused(f"not YAML: {error.problem}"[:200], line) from None
    except yaml.YAMLError as error:
        raise _refused(f"not YAML: {error}"[:200]) from None
    if not isinstance(data, dict):
        raise _refused("the document is no object")
    return cast("Json", _as_json(data, 0))


def _from_yaml(text: str) -> object:
    """Looks at the events first: aliases multiply, and deep nesting exhausts the parser's stack."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            raise _refused("YAML aliases are not accepted", _line(event))
        if isinstance(event, yaml.CollectionStartEvent | yaml.CollectionEndEvent):
            depth += 1 if isinstance(event, yaml.CollectionStartEvent) else -1
        if depth > _DEEPEST_DOCUMENT:
            raise _refused("nested too deeply", _line(event))
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _as_json(value: object, depth: int) -> JsonValue:
    """Keys as text, and nothing but JSON's values."""
    if depth > _DEEPEST_DOCUMENT:
        raise _refused("nested too deeply")
    if isinstance(value, dict):
        return {str(key): _as_json(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_json(inner, depth + 1) for inner in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _object(value: JsonValue) -> Json:
    return value if isinstance(value, dict) else {}


def _array(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _string(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


class _Reader:
    def __init__(self, data: Json, lines: list[str]) -> None:
        self.data, self.lines = data, lines
        schemas = _object(_object(data.get("components")).get("schemas"))
        self.components = {name: normal_shape(schema, schemas) for name, schema in schemas.items()}
        self._schemas = schemas

    def header(self) -> Header:
        """The document's info as a SPEC's header."""
        info = _object(self.data.get("info"))
        title = _string(info.get("title"))
        name = slug(_string(info.get("x-service-name")) or title)
        if not name:
            raise SpecRefused(Refusal.UNNAMED, "info.title does not name the service", 1)
        port = self._port()
        return Header(
            service=name,
            title=title,
            version=_version(str(info.get("version") or "1.0.0")),
            description=_string(info.get("description"))[:600],
            port=port,
            port_source="servers" if port else None,
            dependencies=(),
            features=(),
            line=1,
        )

    def _servers(self) -> Iterator[str]:
        for server in _array(self.data.get("servers")):
            yield _string(_object(server).get("url"))

    def _port(self) -> int | None:
        for url in self._servers():
            try:
                port = urlsplit(url).port
            except ValueError:
                continue
            if port not in _DEFAULT_PORTS:
                return port
        return None

    def base_path(self) -> str:
        """The path below which the first server serves."""
        for url in self._servers():
            path = urlsplit(url).path.rstrip("/") if "{" not in url else ""
            return path if re.fullmatch(r"(?:/[\w.~-]+)+", path) else ""
        return ""

    def drafts(self) -> Iterator[Draft]:
        """Each operation of each path."""
        paths = _object(self.data.get("paths"))
        refuse_too_many(len(paths), 1)
        for path, item in paths.items():
            known = normal_path(path)
            entry = self._followed(item)
            if known is None:
                continue
            for method in _METHODS:
                operation = entry.get(method)
                if isinstance(operation, dict):
                    shared = _array(entry.get("parameters"))
                    yield self._draft(method, path, operation, shared)

    def _draft(self, method: str, path: str, operation: Json, shared: list[JsonValue]) -> Draft:
        draft = Draft(method.upper(), normal_path(path) or path, self._line(path, method))
        draft.exact = True
        summary = _string(operation.get("summary")) or _string(operation.get("description"))
        draft.summary = summary.strip().split("\n")[0][:200]
        draft.prose = [_string(operation.get("description"))]
        draft.operation_id = _string(operation.get("operationId")) or None
        security = operation.get("security", self.data.get("security"))
        draft.secured = bool([entry for entry in _array(security) if entry])
        draft.parameters = list(self._parameters([*shared, *_array(operation.get("parameters"))]))
        headers = [
            _string(self._followed(p).get("name")) for p in _array(operation.get("parameters"))
        ]
        draft.prose += [name for name in headers if name.lower() == "idempotency-key"]
        draft.request = self._body(self._followed(operation.get("requestBody")), draft)
        self._add_responses(draft, _object(operation.get("responses")))
        return draft

    def _line(self, path: str, method: str) -> int:
        """Where the operation stands: the method's line after the path's."""
        at = self._find(re.compile(rf"^\s*[\"']?{re.escape(path)}[\"']?\s*:"), 0)
        return self._find(re.compile(rf"^\s*[\"']?{method}[\"']?\s*:"), at) + 1

    def _find(self, pattern: re.Pattern[str], start: int) -> int:
        for number in range(start, len(self.lines)):
            if pattern.match(self.lines[number]):
                return number
        return start

    def _followed(self, value: JsonValue, depth: int = 0) -> Json:
        """What a reference outside the schemas refers to."""
        entry = _object(value)
        reference = _string(entry.get("$ref"))
        if not reference.startswith("#/") or depth > _DEEPEST_REFERENCE:
            return {} if reference else entry
        target: JsonValue = self.data
        for part in reference[2:].split("/"):
            target = _object(target).get(part.replace("~1", "/").replace("~0", "~"))
        return self._followed(target, depth + 1)

    def _parameters(self, entries: list[JsonValue]) -> Iterator[Parameter]:
        found: dict[tuple[str, str], Parameter] = {}
        for entry in entries:
            declared = self._followed(entry)
            name, location = _string(declared.get("name")), _string(declared.get("in"))
            if not name or location not in {"path", "query"}:
                continue
            shape = inlined(normal_shape(declared.get("schema"), self._schemas), self.components)
            needed = declared.get("required") is True
            found[name, location] = Parameter.model_validate(
                {"name": name, "location": location, "shape": shape, "required": needed}
            )
        yield from found.values()

    def _body(self, entry: Json, draft: Draft) -> Body | None:
        content = _object(entry.get("content"))
        for media_type, described in content.items():
            if _JSON_TYPES.match(media_type):
                return self._described(_object(described))
        if content:
            draft.media_type = next(iter(content))
        return None

    def _described(self, described: Json) -> Body:
        declared = normal_shape(described.get("schema"), self._schemas)
        shape = inlined(declared, self.components)
        example = described.get("example")
        for candidate in _object(described.get("examples")).values():
            example = example or _object(candidate).get("value")
        if example is None:
            example = shape.get("example")
        return Body(shape=shape, example=example, declared=declared)

    def _add_responses(self, draft: Draft, responses: Json) -> None:
        for code, entry in responses.items():
            response = self._followed(entry)
            if not code.isdigit():
                continue
            number = int(code)
            if number < 300 and draft.success is None:  # noqa: PLR2004 - HTTP: success
                draft.success = number
                draft.response = self._body(response, draft)
            elif number >= 400:  # noqa: PLR2004 - HTTP: errors
                draft.errors[number] = f"{code} {_string(response.get('description'))}"


def _version(text: str) -> str:
    found = re.match(r"v?(\d+(?:\.\d+){0,3}(?:-[0-9A-Za-z.]{1,16})?)", text)
    return found[1] if found else "1.0.0"
