"""From the text of a SPEC to its contract: read, refuse, infer, freeze."""

import re
from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from build_executor.errors import SpecRefused
from build_executor.spec.accounts import Accounts, demand_tokens, find_accounts
from build_executor.spec.bodies import settle_all
from build_executor.spec.classification import classify
from build_executor.spec.contract import Auth, Contract, Note, Operation, Shape
from build_executor.spec.drafts import Draft
from build_executor.spec.endpoints import read_drafts
from build_executor.spec.entity_bodies import with_bodies
from build_executor.spec.entity_components import entity_components
from build_executor.spec.field_tables import read_field_tables
from build_executor.spec.header import Header, read_header
from build_executor.spec.kind_fields import find_kinds
from build_executor.spec.kinds import Kind
from build_executor.spec.markdown import Block, read_blocks
from build_executor.spec.naming import pascal
from build_executor.spec.openapi_document import Document, is_openapi, read_openapi
from build_executor.spec.openapi_form import to_openapi
from build_executor.spec.operations import make_operations
from build_executor.spec.places import find_collections, normal, segments
from build_executor.spec.python_models import PythonModel, read_models
from build_executor.spec.refusals import Refusal, refuse_unbuildable
from build_executor.spec.resources import to_resource
from build_executor.spec.routes import UDC_PATHS
from build_executor.spec.shapes import object_of, references_in
from build_executor.spec.situation import Classified, Situation
from build_executor.spec.sql_tables import read_tables
from build_executor.spec.workbench import Workbench

_WHICH = r"\b(?:all|every|each|any|creat(?:es?|ions?|ing)|posts?|requests|writes)\b"
_KEYS = re.compile(
    rf"{_WHICH}[^.\n]*\bidempotency|\bidempotency[- ]keys?\b[^.\n]*{_WHICH}", re.IGNORECASE
)
LARGEST_SPEC = 256 * 1024
_MOST_HEADINGS = 5000


def derive_contract(text: str) -> Contract:
    """The contract of the one service that the text describes; SpecRefused if it describes none."""
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST_SPEC:
        raise SpecRefused(Refusal.TOO_LARGE, "the SPEC is larger than 256 KiB", None)
    if max(text.count("\n#"), text.count("\n|")) > _MOST_HEADINGS:
        message = f"more than {_MOST_HEADINGS} headings or table rows"
        raise SpecRefused(Refusal.TOO_LARGE, message, None)
    if is_openapi(text):
        return _from_document(read_openapi(text))
    blocks = read_blocks(text)
    header = read_header(blocks)
    drafts = read_drafts(blocks)
    refuse_unbuildable(blocks, header, drafts)
    prose = tuple(block.text for block in blocks if block.kind in {"paragraph", "item", "row"})
    if any(_KEYS.search(text) for text in prose):
        for draft in drafts:
            draft.prose += ["idempotency-key"] if draft.method == "POST" else []
    return assemble(header, drafts, _models(blocks), prose=prose)


def _from_document(document: Document) -> Contract:
    contract = assemble(document.header, document.drafts, {}, document.components)
    return contract.model_copy(update={"base_path": document.base_path, "declared": True})


def assemble(
    header: Header,
    drafts: Sequence[Draft],
    models: Mapping[str, PythonModel],
    declared: Mapping[str, Shape] | None = None,
    *,
    prose: Sequence[str] = (),
) -> Contract:
    """The contract of a service with this header, these endpoints and these data models.

    `declared` are the components of a document that names its shapes itself, `prose` is what the
    document says in sentences anywhere.
    """
    notes: list[Note] = []
    settle_all(drafts, notes)
    udc, business = _split_udc(drafts)
    collections = find_collections(business)
    accounts = find_accounts(business, collections)
    demand_tokens(business, accounts, prose)
    situation = Situation(tuple(business), collections, accounts)
    classified = [classify(draft, situation) for draft in business]
    bench = _bench(header, classified, with_bodies(classified, models, notes))
    bench.auth = _auth(accounts, bench)
    if declared is not None:
        bench.components = dict(declared)
    bench.assumptions.extend(notes)
    operations = [*_udc_operations(udc), *make_operations(classified, bench)]
    _note_orphans(bench)
    _note_unsecured(bench, business)
    components = _components(bench, operations) if declared is None else bench.components
    return Contract(
        service=header.service,
        version=header.version,
        title=header.title,
        description=header.description,
        port=header.port,
        port_source=header.port_source,
        operations=tuple(operations),
        resources=tuple(bench.resources.values()),
        components=components,
        dependencies=header.dependencies,
        features=header.features,
        auth=bench.auth,
        invalid_status=_invalid_status(business) if declared is not None else 422,
        udc_examples={d.label: d.response.example for d in udc if d.response},
        assumptions=tuple(bench.assumptions),
        gaps=tuple(bench.gaps),
        openapi=to_openapi(header.title or header.service, header.version, operations, components),
    )


def _auth(accounts: Accounts | None, bench: Workbench) -> Auth | None:
    if accounts is None:
        return None
    users = bench.resources[normal(accounts.users.path)]
    return Auth(
        resource=users.name,
        id_field=users.id_field,
        login_field=accounts.login_field,
        password_field=accounts.password_field,
    )


def _invalid_status(drafts: Sequence[Draft]) -> int:
    """400 where the document says so for its bodies, and never speaks of 422."""
    codes = {code for draft in drafts for code in draft.errors}
    with_body = [draft for draft in drafts if draft.request is not None]
    says_400 = any(400 in draft.errors for draft in with_body)  # noqa: PLR2004 - HTTP: bad request
    return 400 if says_400 and 422 not in codes else 422  # noqa: PLR2004 - HTTP: unprocessable


def _note_unsecured(bench: Workbench, drafts: Sequence[Draft]) -> None:
    """Where the SPEC wants a token that this service has no way to issue."""
    for draft in drafts:
        if draft.secured and bench.auth is None:
            message = (
                "asks for authentication, but nothing says how callers get a token: it is open"
            )
            bench.gaps.append(Note(line=draft.line, message=message, operation=draft.label))


def _models(blocks: tuple[Block, ...]) -> dict[str, PythonModel]:
    fences = [b for b in blocks if b.kind == "fence" and b.info in {"python", "py", ""}]
    found = [model for fence in fences for model in read_models(fence.text, fence.line)]
    tables = [b for b in blocks if b.kind == "fence" and "create table" in b.text.lower()]
    rows = [model for fence in tables for model in read_tables(fence.text, fence.line)]
    return {model.name: model for model in [*read_field_tables(blocks), *rows, *found]}


def _bench(
    header: Header, classified: list[Classified], models: dict[str, PythonModel]
) -> Workbench:
    kinds: dict[str, Kind] = find_kinds(classified, models)
    resources = {path: to_resource(kind, kinds) for path, kind in kinds.items()}
    bench = Workbench(kinds, resources, models, header.service, header.version)
    bench.components.update({pascal(r.singular): {} for r in resources.values()})
    return bench


def _split_udc(drafts: Sequence[Draft]) -> tuple[list[Draft], list[Draft]]:
    """The UDC endpoints, at the root or below a prefix that has several of them; and the rest."""
    prefixes = [prefix for draft in drafts if (prefix := _udc_prefix(draft)) is not None]
    shared = {prefix for prefix in prefixes if prefix == "" or prefixes.count(prefix) > 1}
    udc = [d for d in drafts if _udc_prefix(d) in shared]
    return udc, [draft for draft in drafts if not any(draft is other for other in udc)]


def _udc_prefix(draft: Draft) -> str | None:
    parts = segments(draft.path)
    if not parts or UDC_PATHS.get(f"/{parts[-1]}") != draft.method or "{" in draft.path:
        return None
    return "/".join(parts[:-1])


def _udc_operations(udc: Sequence[Draft]) -> Iterator[Operation]:
    """The five of the UDC at the root, stated or not (line 0), and those below a prefix."""
    stated = {draft.path: draft for draft in udc}
    paths = dict.fromkeys([*list(UDC_PATHS)[:5], *stated])
    for path in paths:
        draft = stated.get(path)
        words = [part.replace("-", "_") for part in segments(path)]
        yield Operation(
            method=UDC_PATHS[f"/{segments(path)[-1]}"],
            path=path,
            kind="udc",
            spec_line=draft.line if draft else 0,
            name=f"udc_{'_'.join(words)}",
            summary=draft.summary if draft else "",
            rule="udc",
            request=_UDC_REQUESTS.get(segments(path)[-1]),
            request_example=draft.request.example if draft and draft.request else None,
            response_example=_answer_example(draft),
            response={"type": "object"},
        )


def _answer_example(draft: Draft | None) -> JsonValue:
    return draft.response.example if draft and draft.response else None


_TEXT: Shape = {"type": "string", "minLength": 1}
_KINDS: Shape = {"enum": ["status", "event", "command", "query", "data"]}
_MESSAGE: Shape = {
    "type": "object",
    "properties": {
        "trace_id": _TEXT,
        "source": {"type": ["string", "integer"]},
        "target": {"type": "string"},
        "message_type": _KINDS,
        "payload": {"type": "object"},
        "timestamp": _TEXT,
    },
    "required": ["trace_id", "source", "message_type", "payload", "timestamp"],
}
_OUTGOING: Shape = {
    "type": "object",
    "properties": {
        "target": _TEXT,
        "message_type": _KINDS,
        "payload": {"type": "object"},
        "priority": {"enum": ["high", "normal", "low"]},
        "retry_count": {"type": "integer", "minimum": 0, "maximum": 5},
    },
    "required": ["target", "message_type"],
}
_UDC_REQUESTS = {"message": _MESSAGE, "send": _OUTGOING}


def _note_orphans(bench: Workbench) -> None:
    """Resources that endpoints read and nothing creates: other services must send them."""
    for resource in bench.resources.values():
        if not resource.creatable:
            message = (
                f"nothing creates {resource.name}: they arrive by `POST /message` with"
                f' payload {{"resource": "{resource.name}", "data": {{…}}}}'
            )
            bench.gaps.append(Note(line=resource.line, message=message))


def _components(bench: Workbench, operations: Sequence[Operation]) -> dict[str, Shape]:
    entities = entity_components(list(bench.resources.values()), operations)
    known = {**bench.components, **entities}
    names = {*known, *bench.models}
    own = {name: _dict(_resolve(shape, names)) for name, shape in known.items()}
    return own | dict(_lent(bench, known))


def _lent(bench: Workbench, known: dict[str, Shape]) -> Iterator[tuple[str, Shape]]:
    """The SPEC's classes that the components refer to, and those that these refer to in turn."""
    wanted = [name for shape in known.values() for name in references_in(shape)]
    seen: set[str] = set(known)
    while wanted:
        name = wanted.pop()
        model = bench.models.get(name)
        if name in seen or model is None:
            continue
        seen.add(name)
        shape = object_of(model.fields, model.required)
        wanted.extend(references_in(shape))
        yield name, _dict(_resolve(shape, {*known, *bench.models}))


def _dict(value: JsonValue) -> Shape:
    return value if isinstance(value, dict) else {}


def _resolve(value: JsonValue, known: set[str]) -> JsonValue:
    """The shape without references to classes that the SPEC does not show."""
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.rsplit("/", 1)[-1] not in known:
            return {}
        return {key: _resolve(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolve(inner, known) for inner in value]
    return value
