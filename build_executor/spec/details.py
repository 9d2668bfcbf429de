"""What the text around an endpoint says of it: bodies, codes, inputs, outputs, in any dialect."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from build_executor.spec.drafts import Body, Draft
from build_executor.spec.json_reader import Example, plain, read_examples, type_word
from build_executor.spec.markdown import Block, plain_text
from build_executor.spec.python_models import bounds_in, default_of
from build_executor.spec.routes import Mention
from build_executor.spec.shapes import infer, merge
from build_executor.spec.statements import Statement, read_statement

_RESPONSE = re.compile(r"respon|return|output|result|answer|success|when |yields|\b2\d\d\b")
_REQUEST = re.compile(r"request|body|input|payload|send|accept|json body|\bdata\b")
_QUERY = re.compile(r"quer(?:y|ies)|param|filter")
_ERROR = re.compile(r"error|fail|\b[45]\d\d\b|invalid")
_QUERY_PAIR = re.compile(r"[?&]([A-Za-z_]\w*)(?:=([^&\s`)\"']*))?")
_STATUS = re.compile(r"\b([1-5]\d\d)\b(?!\s*(?:ms|seconds|%|/))")
_FIELD = re.compile(r"^(?P<key>[A-Za-z][\w \-/()]{0,34}?)\s*:\s*(?P<value>.*)$", re.DOTALL)
_NAME = re.compile(r"^[`\"']?([a-z][a-z0-9_]{0,48})[`\"']?(?:\s*[(:=\-\u2013\u2014].*|\?)?$")
_BRACKETS = re.compile(r"([a-z][a-z0-9_]{0,48})[`\"']?\s*\(([^()]{1,80})\)")
_CURL_DATA = re.compile(r"(?:-d|--data(?:-raw|-binary)?)\s+'(\s*[{\[].*?)'", re.DOTALL)
_SIGNATURE = re.compile(
    r"^\s*(?:async\s+)?def\s+(\w+)\((.*?)\)(?:\s*->\s*([\w\[\], .|]+))?:", re.MULTILINE | re.DOTALL
)
_LEAD = re.compile(
    r"^(?:a |an |the )?(?:json(?: (?:body|object|payload))?|body|object|any(?: combination)?|some"
    r"|one or more)\s+(?:with|of|containing)\s+(?:the fields? )?",
    re.IGNORECASE,
)
_LIST_OF = re.compile(
    r"\b(optional )?(?:query )?(?:filters?|parameters?|params?|fields?)\s*\(([^()]*)\)",
    re.IGNORECASE,
)
_STATED = re.compile(
    r"^(?:[-*]\s+)?(?P<tick>[`*]{0,3})(?P<path>[a-z]\w*(?:\.\w+)*)(?P=tick)\s*"
    r"(?::|\u2014|\u2013|-(?=\s)|(?=\())\s*(?P<text>.+)$",
    re.DOTALL,
)
_LISTS = re.compile(
    r"(?P<query>\bquer(?:y|ies)\b|\bfilters?\b)|(?P<body>\b(?:request|body|payload)\b)"
    r"|(?P<any>\bparam(?:eter)?s?\b|\bfields\b|\binputs?\b|\barguments\b)"
)
_LISTED = re.compile(
    r"^[`*]{0,3}(?P<path>[a-z]\w*(?:\.\w+)*)[`*]{0,3}\s*(?:$|(?::|\u2014|\u2013|-(?=\s)|(?=\())\s*(?P<text>.*)$)",
    re.DOTALL,
)
_FIELD_NAME = re.compile(r"[a-z]\w*(?:\.\w+)*")
_QUERY_SENTENCE = re.compile(
    r"(?:^|[.;,(]\s+|\s[-\u2013\u2014]\s)(?:(?:optional |supported |url )?(?:query|filter)s?"
    r"(?:[ -](?:params?|parameters?|string))?|(?:query |url )?param(?:eter)?s?)\s*:\s*"
    r"(?P<names>[^:]+?)(?:\.\s|\.?$)",
    re.IGNORECASE,
)
_BODY_SENTENCE = re.compile(
    r"(?:^|[.;,(]\s+|\s[-\u2013\u2014]\s)(?:json |request )*(?:body|payload|fields)\s*:\s*"
    r"(?P<names>[^:]+?)(?:\.\s|\.?$)",
    re.IGNORECASE,
)
_FILTERED = re.compile(r"\bfilter(?:ed|able|s)?\s+(?:by|on)\s+(?P<names>[\w, ]+)", re.IGNORECASE)
_EXAMPLE_FENCES = frozenset(
    ["json", "jsonc", "javascript", "js", "bash", "http", "text", "python", "sh", "shell"]
) | {""}
_SUMMARY_LIMIT = 200
_LABEL = re.compile(
    r"^(?:example |sample |json )?(?:request|response|return|output|input|body|payload|error)s?\b",
    re.IGNORECASE,
)


def read_draft(mention: Mention, pieces: Sequence[Block]) -> Draft:
    """The endpoint with everything its blocks say; `pieces` begins right after the mention."""
    draft = Draft(mention.method, mention.path, mention.line)
    draft.section = pieces[0].section if pieces else ""
    _add_query(draft, f"?{mention.query}" if mention.query else "")
    if mention.source == "decorator":
        _add_arguments_of_route(draft, mention.rest)
    else:
        _add_rest(draft, mention.rest)
    label = ""
    for piece in pieces:
        label = _add_piece(draft, piece, label)
    if not draft.summary and pieces and pieces[0].headings:
        draft.summary = re.sub(r"^[\d.)\s]+", "", pieces[0].headings[-1])[:_SUMMARY_LIMIT]
    return draft


def _add_piece(draft: Draft, piece: Block, label: str) -> str:
    """Reads one block; what it says of a fence that follows."""
    match piece.kind:
        case "fence":
            _add_fence(draft, piece, label)
        case "heading":
            return plain_text(piece.text)
        case "row":
            _add_row(draft, piece.text)
        case "item" if _add_listed(draft, piece, label):
            return label
        case _:
            return _add_lines(draft, piece)
    return ""


def _add_listed(draft: Draft, piece: Block, label: str) -> bool:
    """A bullet below `Query parameters:` or `Request body:` names one of them."""
    found = _LISTED.match(piece.text.strip())
    kind = _LISTS.search(label.lower())
    if found is None or kind is None or not label.rstrip().endswith(":"):
        return False
    name, text = found["path"], found["text"] or ""
    statement = read_statement(text)
    if statement.says_something:
        draft.statements.setdefault(name, statement)
    is_query = kind["query"] or (kind["any"] and draft.method in {"GET", "DELETE"})
    if f"{{{name}}}" in draft.path:
        return True
    if is_query:
        draft.query.setdefault(name, None)
    elif "." not in name:
        draft.inputs.append(name)
    draft.prose.append(text)
    return True


def _add_rest(draft: Draft, rest: str) -> None:
    """What stands behind the path on its own line: a comment, a dash and a description."""
    text = plain_text(rest).lstrip(" -:#\u2013\u2014\u2192>)/").strip()
    text = _add_documents(draft, text)
    _add_query(draft, text)
    _add_query_sentence(draft, text)
    _add_body_sentence(draft, text)
    _add_success(draft, re.sub(r"\b[45]\d\d\b[^,;.]*", "", text))
    _add_errors(draft, ", ".join(re.findall(r"\b4\d\d\b[^,;.]*", text)))
    if text and not re.fullmatch(r"(?:HTTP/[\d.]+|\(.*|[\W_]*)", text):
        _describe(draft, text)


def _add_documents(draft: Draft, text: str) -> str:
    """Takes the JSON out of a line: the body of a request first, then that of the answer."""
    start = text.find("{")
    documents = read_examples(text[start:]) if start >= 0 and text.count("{") else ()
    if not documents or re.search(r"\{\w*\}", text[start : start + 40]):
        return text
    for document in documents:
        label = f"{text[:start]} {document.label}".lower()
        if _role(draft.method, label) == "response" or draft.method in {"GET", "DELETE"}:
            draft.response = draft.response or _body(document, draft.line)
        elif draft.request is None:
            draft.request = _body(document, draft.line)
        else:
            draft.response = draft.response or _body(document, draft.line)
    return re.sub(r"[{\[].*[}\]]", " ", text).strip()


def _add_arguments_of_route(draft: Draft, rest: str) -> None:
    """What a decorator says behind the path: `response_model=List[X], status_code=201`."""
    if found := re.search(r"\bresponse_model\s*=\s*(?:typing\.)?[Ll]ist\[(\w+)", rest):
        draft.response = Body({"type": "array", "items": {}}, None, draft.line)
        draft.response_model = found[1]
    if found := re.search(r"\bstatus_code\s*=\s*(?:\w+\.HTTP_)?(2\d\d)\b", rest):
        draft.success = int(found[1])


def _describe(draft: Draft, text: str) -> None:
    if not draft.summary:
        draft.summary = text.split("\n", maxsplit=1)[0][:_SUMMARY_LIMIT]
    draft.prose.append(text)


def _add_lines(draft: Draft, piece: Block) -> str:
    """Reads prose; the last line is the label of a fence that follows."""
    last = ""
    for _, line in piece.numbered_lines():
        text = plain_text(line)
        if not text:
            continue
        last = text if _is_label(text) else ""
        found = _FIELD.match(text)
        if _add_statement(draft, line):
            continue
        if found is None or not _add_field(
            draft, found["key"].lower(), found["value"].strip(), piece
        ):
            _add_query_sentence(draft, text)
            _add_query(draft, text)
            draft.prose.append(text)
            if not draft.summary and not _is_label(text):
                draft.summary = text[:_SUMMARY_LIMIT]
    return last


def _add_statement(draft: Draft, line: str) -> bool:
    """`- `title`: required, 1 to 80 characters` and `| title | string | yes | ... |`."""
    found = _STATED.match(line.strip())
    statement = read_statement(found["text"]) if found else Statement()
    if found is None or not statement.says_something:
        return False
    draft.statements.setdefault(found["path"], statement)
    draft.prose.append(plain_text(line))
    return True


def _add_row(draft: Draft, row: str) -> None:
    """A row of a table of fields: the name first, then its type, whether it is required, more."""
    cells = [plain_text(cell) for cell in row.split("\t")]
    if len(cells) < 2 or not _FIELD_NAME.fullmatch(cells[0]):  # noqa: PLR2004 - a name and a type
        return
    words = ["required" if c.lower() in {"yes", "true", "\u2713"} else c for c in cells[1:]]
    words = ["optional" if c.lower() in {"no", "false"} else c for c in words]
    statement = read_statement(", ".join(words))
    if statement.says_something:
        draft.statements.setdefault(cells[0], statement)


def _add_body_sentence(draft: Draft, text: str) -> None:
    """Such as `Adds a doctor. Body: name (string, required), phone (string, optional)`."""
    found = _BODY_SENTENCE.search(text)
    if found is None or draft.method not in {"POST", "PUT", "PATCH"}:
        return
    _add_stated(draft, found["names"])
    draft.inputs.extend(_names(found["names"]))
    for name, inside in _BRACKETS.findall(found["names"]):
        draft.statements.setdefault(name, read_statement(inside))


def _add_query_sentence(draft: Draft, text: str) -> None:
    """Such as `Lists all. Query parameters: author (exact)`, or `Lists, filtered by author`."""
    found = _QUERY_SENTENCE.search(text)
    if found is None and draft.method == "GET":
        found = _FILTERED.search(text)
    if found is None:
        return
    _add_stated(draft, found["names"])
    for name in _names(found["names"].strip().rstrip(".")):
        draft.query.setdefault(name, None)


def _is_label(text: str) -> bool:
    return text.endswith(":") or bool(_LABEL.match(text))


def _add_field(draft: Draft, key: str, value: str, piece: Block) -> bool:
    """One `Key: value` line; False if the key means nothing here."""
    for pattern, add in _FIELDS:
        if pattern.search(key):
            add(draft, key, value, piece)
            return True
    return False


def _add_description(draft: Draft, _key: str, value: str, _piece: Block) -> None:
    _describe(draft, value)


def _add_failures(draft: Draft, _key: str, value: str, _piece: Block) -> None:
    _add_errors(draft, value)


def _add_code(draft: Draft, _key: str, value: str, _piece: Block) -> None:
    _add_success(draft, value)


def _add_auth(draft: Draft, _key: str, value: str, _piece: Block) -> None:
    draft.secured = value.lower() not in {"", "none", "public", "no"}
    draft.prose.append(f"auth: {value}")


def _add_errors(draft: Draft, text: str) -> None:
    parts = re.split(r"[,;]\s*(?=[45]\d\d)", text)
    for part in parts:
        for code in _STATUS.findall(part):
            draft.errors.setdefault(int(code), part.strip())


def _add_success(draft: Draft, text: str) -> None:
    codes = [int(code) for code in _STATUS.findall(text) if code.startswith(("2", "3"))]
    if codes and draft.success is None:
        draft.success = codes[0]


def _add_input(draft: Draft, _key: str, value: str, piece: Block) -> None:
    documents = read_examples(value)
    if documents:
        draft.request = draft.request or _body(documents[0], piece.line)
        return
    _add_query(draft, value)
    value = _LIST_OF.sub(_opened, _LEAD.sub("", value))
    plain_value, optional = _split_optional(value)
    _add_stated(draft, value)
    draft.inputs.extend(_names(plain_value))
    names = list(_names(optional))
    draft.inputs.extend(names)
    draft.optional_inputs.extend(names)


def _opened(found: re.Match[str]) -> str:
    """`Optional filters (a, b)` names `a` and `b`."""
    return f"optional {found[2]}" if found[1] else found[2]


def _add_stated(draft: Draft, value: str) -> None:
    """`weight (float, required)`: the type and the need that brackets state."""
    for name, inside in _BRACKETS.findall(value):
        words = [word.strip().lower() for word in inside.split(",")]
        hint = next((known for word in words if (known := type_word(word))), None)
        if hint is not None:
            draft.stated[name] = hint.shape
        if "required" in words:
            draft.required_inputs.append(name)
        if "optional" in words:
            draft.optional_inputs.append(name)


def _split_optional(value: str) -> tuple[str, str]:
    found = re.search(r"\boptional(?: filters?| parameters?)?\s*:?\s+(?=\w)", value, re.IGNORECASE)
    return (value[: found.start()], value[found.end() :]) if found else (value, "")


def _names(value: str) -> Iterator[str]:
    value = re.sub(r"\([^)]*\)", "", value)
    for part in re.split(r"[,;]|\band\b", value):
        found = _NAME.match(part.strip())
        if found and found[1] not in {"none", "n", "optional", "required", "and", "json"}:
            yield found[1]


def _add_output(draft: Draft, key: str, value: str, piece: Block) -> None:
    _add_success(draft, key)
    documents = read_examples(value)
    if documents:
        draft.response = draft.response or _body(documents[0], piece.line)
        return
    draft.prose.append(f"returns: {value}")
    names = list(_names(value))
    bare = re.sub(r"\([^)]*\)", "", value)
    parts = [part for part in re.split(r"[,;]|\band\b", bare) if part.strip()]
    if names and len(names) == len(parts):
        draft.outputs.extend(names)
        for name, inside in _BRACKETS.findall(value):
            hint = type_word(inside.split(" ")[0])
            if hint is not None:
                draft.promised[name] = dict(hint.shape)


def _add_parameters(draft: Draft, _key: str, value: str, _piece: Block) -> None:
    _add_query(draft, value)
    if "?" not in value:
        for name in _names(value):
            draft.query.setdefault(name, None)


def _add_query(draft: Draft, text: str) -> None:
    if "?" in text and "=" in text:
        for name, sample in _QUERY_PAIR.findall(text):
            draft.query.setdefault(name, sample or None)


def _add_fence(draft: Draft, piece: Block, label: str) -> None:
    if piece.info.split(" ")[0] not in _EXAMPLE_FENCES:
        return
    if "def " in piece.text:
        _add_signature(draft, piece)
    if "curl" in piece.text:
        _add_curl(draft, piece)
        return
    _add_call_queries(draft, piece.text)
    for document in read_examples(piece.text):
        _add_example(draft, document, piece, document.label or label)


def _add_curl(draft: Draft, piece: Block) -> None:
    for data in _CURL_DATA.findall(piece.text)[:1]:
        for document in read_examples(data)[:1]:
            draft.request = draft.request or _body(document, piece.line)


def _add_call_queries(draft: Draft, text: str) -> None:
    for line in text.split("\n"):
        called = re.match(rf"\s*(?://|#)?.*?{re.escape(draft.path)}(\?\S+)", line)
        if called or re.search(r"quer", line, re.IGNORECASE):
            _add_query(draft, called[1] if called else line)


def _add_example(draft: Draft, document: Example, piece: Block, label: str) -> None:
    body = _body(document, piece.line)
    match _role(draft.method, label.lower()):
        case "response":
            _add_success(draft, label)
            draft.response = _joined(draft.response, body)
        case "request":
            draft.request = draft.request or body
        case "unknown":
            draft.unlabelled.append(body)


def _role(method: str, label: str) -> str:
    """Whether a document is a request or a response, by the words before it."""
    found = [
        (match.start(), role)
        for role, pattern in (("response", _RESPONSE), ("request", _REQUEST), ("error", _ERROR))
        if (match := pattern.search(label))
    ]
    if method == "WS":
        return "unknown"
    role = min(found)[1] if found else "unknown"
    return "response" if role == "request" and method in {"GET", "DELETE"} else role


def _joined(first: Body | None, second: Body) -> Body:
    """A second example of the same answer adds its fields to the first one's shape."""
    if first is None:
        return second
    if first.shape.get("type") != "object" or second.shape.get("type") != "object":
        return first
    return Body(merge(first.shape, second.shape), first.example, first.line)


def _body(document: Example, first_line: int) -> Body:
    return Body(infer(document.value), plain(document.value), first_line + document.line)


def _add_signature(draft: Draft, piece: Block) -> None:
    """A decorated function's parameters: a class is the body, a scalar comes in the query."""
    found = _SIGNATURE.search(piece.text)
    if found is None:
        return
    documentation = re.search(r'"""(.*?)(?:\n\s*\n|"""|$)', piece.text[found.end() :], re.DOTALL)
    if documentation and documentation[1].strip():
        _describe(draft, " ".join(documentation[1].split()))
    try:
        function = ast.parse(f"def f({found[2]}): ...").body[0]
    except (SyntaxError, ValueError, RecursionError):
        return
    _add_arguments(draft, cast("ast.FunctionDef", function))


def _add_arguments(draft: Draft, function: ast.FunctionDef) -> None:
    arguments = function.args.args
    defaults = [None] * (len(arguments) - len(function.args.defaults)) + [*function.args.defaults]
    for argument, default in zip(arguments, defaults, strict=True):
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        if "{" + argument.arg + "}" in draft.path or kind in {"", "Request", "WebSocket"}:
            continue
        if _is_scalar(kind) or (default is not None and "Query" in ast.unparse(default)):
            draft.query.setdefault(argument.arg, None)
            _add_bounds(draft, argument.arg, kind, default)
        elif kind.isidentifier() and draft.method in {"POST", "PUT", "PATCH"}:
            draft.request_model = draft.request_model or kind


def _is_scalar(kind: str) -> bool:
    return (
        kind.split("[", maxsplit=1)[0] in {"str", "int", "float", "bool", "Optional"}
        or "None" in kind
    )


def _add_bounds(draft: Draft, name: str, kind: str, default: ast.expr | None) -> None:
    """`limit: int = Query(20, ge=1, le=100)` says its type, its default and its limits."""
    hint = type_word(kind)
    shape = {**hint.shape, **bounds_in(default)} if hint is not None else bounds_in(default)
    values = [value for value in default_of(default) if value is not None]
    if values and hint is not None:
        shape["default"] = values[0]
    if shape:
        draft.statements[name] = Statement(shape, required=default is None)


_FIELDS: tuple[tuple[re.Pattern[str], Callable[[Draft, str, str, Block], None]], ...] = (
    (re.compile(r"^(?:purpose|description|summary|what)"), _add_description),
    (re.compile(r"^(?:error|fail)"), _add_failures),
    (re.compile(r"^(?:success|status)"), _add_code),
    (re.compile(r"^auth"), _add_auth),
    (_QUERY, _add_parameters),
    (_RESPONSE, _add_output),
    (_REQUEST, _add_input),
)
