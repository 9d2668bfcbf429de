"""Examples of bodies: whether a document is sent or answered is told by the words before it."""

import re

from build_executor.spec.drafts import Body, Draft
from build_executor.spec.json_reader import Example, plain, read_examples
from build_executor.spec.markdown import Block
from build_executor.spec.sentences import add_success
from build_executor.spec.shapes import infer, merge

RESPONSE_WORDS = re.compile(r"respon|return|output|result|answer|success|when |yields|\b2\d\d\b")
"""Words that announce an answer."""
REQUEST_WORDS = re.compile(r"request|body|input|payload|send|accept|json body|\bdata\b")
"""Words that announce what is sent."""
_ERROR = re.compile(r"error|fail|\b[45]\d\d\b|invalid")
_CURL_DATA = re.compile(r"(?:-d|--data(?:-raw|-binary)?)\s+'(\s*[{\[].*?)'", re.DOTALL)


def add_documents(draft: Draft, text: str) -> str:
    """Takes the JSON out of a line: the body of a request first, then that of the answer."""
    start = text.find("{")
    documents = read_examples(text[start:]) if start >= 0 and text.count("{") else ()
    if not documents or re.search(r"\{\w*\}", text[start : start + 40]):
        return text
    for document in documents:
        label = f"{text[:start]} {document.label}".lower()
        if _role(draft.method, label) == "response" or draft.method in {"GET", "DELETE"}:
            draft.response = draft.response or body_of(document, draft.line)
        elif draft.request is None:
            draft.request = body_of(document, draft.line)
        else:
            draft.response = draft.response or body_of(document, draft.line)
    return re.sub(r"[{\[].*[}\]]", " ", text).strip()


def add_curl(draft: Draft, piece: Block) -> None:
    """Takes the request out of the first call that sends data."""
    for data in _CURL_DATA.findall(piece.text)[:1]:
        for document in read_examples(data)[:1]:
            draft.request = draft.request or body_of(document, piece.line)


def add_example(draft: Draft, document: Example, piece: Block, label: str) -> None:
    """Adds a document as the request, the response, or, if no word tells, as either."""
    body = body_of(document, piece.line)
    match _role(draft.method, label.lower()):
        case "response":
            add_success(draft, label)
            draft.response = _joined(draft.response, body)
        case "request":
            draft.request = draft.request or body
        case "unknown":
            draft.unlabelled.append(body)


def _role(method: str, label: str) -> str:
    """Whether a document is a request or a response, by the words before it."""
    found = [
        (match.start(), role)
        for role, pattern in (
            ("response", RESPONSE_WORDS),
            ("request", REQUEST_WORDS),
            ("error", _ERROR),
        )
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


def body_of(document: Example, first_line: int) -> Body:
    """The body that a document shows."""
    return Body(infer(document.value), plain(document.value), first_line + document.line)
