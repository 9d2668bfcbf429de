"""Where a SPEC names endpoints, in whichever way its author writes them.

Ten ways were met in real documents: headings, bold paragraphs, backtick lines, code fences whose
first line is the route, tables in one fence, Markdown tables, bullets, decorators, and UDC bullets
without a method. The way is decided place by place: one document uses several.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from build_executor.spec.markdown import Block, plain_text

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
UDC_PATHS = {
    "/health": "GET",
    "/capabilities": "GET",
    "/state": "GET",
    "/dependencies": "GET",
    "/message": "POST",
    "/send": "POST",
}
_METHOD = r"(?P<method>GET|POST|PUT|PATCH|DELETE|HEAD|ANY|WS|WSS|WebSocket|WEBSOCKET)"
_PLAIN = r"[^\s`*()\[\],;|\"'<>]*"
_PATH = rf"(?P<path>/{_PLAIN}(?:(?:\[[^\]\s]*\]|<[\w:]+>){_PLAIN})*)"
_NUMBER = r"(?:[\d.]+[.)]?\s+|[a-z][.)]\s+|[^\w\s`*/#@<>\[\](){}\"'.-]+\s+)?"
_LEADING = re.compile(rf"^{_NUMBER}{_METHOD}(?:\s+endpoint)?[:\s]+{_PATH}(?P<rest>.*)$", re.DOTALL)
_INSIDE = re.compile(rf"[(`]\s*{_METHOD}\s+{_PATH}\s*[)`]")
_DECORATOR = re.compile(
    r"^\s*@\w+\.(?P<method>get|post|put|patch|delete|head|websocket|api_route|route)\(\s*[frb]?"
    r"[\"'](?P<path>/[^\"']*)[\"'](?P<rest>.*)$"
)
_BULLET = re.compile(r"^\W*`(?P<path>/[\w/{}-]+)`\s*(?:[-:\u2013\u2014]|$)")
_WEBSOCKET_CALL = re.compile(
    r"(?:wscat|websocat|websocket)\b[^\n]*?(?P<method>wss?)://[^/\s\"']+(?P<path>/[\w/{}.-]*)",
    re.IGNORECASE,
)
_CONTINUED = re.compile(r"\\\s*$")
_ELSEWHERE = re.compile(
    r"depend|apis? (?:required|used|consumed)|external|integrat|success|criteria|accept|checklist"
    r"|\bdone\b|definition of|test|usage|troubleshoot|flow|diagram|roadmap|in.?scope|example"
    r"|optimi[sz]ation|enhancement|future|problem|summary|status|requirement|deploy|startup|curl"
)
_ENDPOINTS = re.compile(r"endpoint|\bapi\b|routes?\b|interface|resource|web ?socket|operations")
_CODE_INFO = frozenset({"", "http", "bash", "sh", "shell", "text", "python", "py", "rest", "yaml"})


class Strength(IntEnum):
    """How sure a place is to define an endpoint, and not merely to mention one."""

    MENTION = 0
    LISTED = 1
    DEFINED = 2


@dataclass(frozen=True, slots=True)
class Mention:
    """A method and a path at a line; `block` is the index of its block in the document."""

    method: str
    path: str
    query: str
    line: int
    block: int
    strength: Strength
    rest: str = ""
    source: str = "heading"


def find_mentions(blocks: tuple[Block, ...]) -> tuple[Mention, ...]:
    """Every place that names an endpoint of some service, in the document's order."""
    return tuple(
        mention for index, block in enumerate(blocks) for mention in _in_block(index, block)
    )


def _in_block(index: int, block: Block) -> Iterator[Mention]:
    match block.kind:
        case "heading":
            yield from _heading(index, block)
        case "fence":
            yield from _fence(index, block)
        case "row":
            yield from _row(index, block)
        case _:
            yield from _prose(index, block)


def _heading(index: int, block: Block) -> Iterator[Mention]:
    found = _LEADING.match(plain_text(block.text)) or _INSIDE.search(block.text)
    if found:
        yield from _mention(found, index, block.line, Strength.DEFINED, "heading")


def _prose(index: int, block: Block) -> Iterator[Mention]:
    for line, text in block.numbered_lines():
        if found := _BULLET.match(text):
            yield from _udc_bullet(found, text, index, block, line)
            continue
        stripped = plain_text(text)
        found = _LEADING.match(stripped)
        if found:
            strength = _strength_of_line(block, text, found)
            yield from _mention(found, index, line, strength, block.kind)


def _strength_of_line(block: Block, text: str, found: re.Match[str]) -> Strength:
    rest = found["rest"].strip()
    marked = text.strip().startswith(("**", "`"))
    if block.kind == "paragraph" and marked and not _is_sentence(rest):
        return Strength.DEFINED
    if _is_elsewhere(block):
        return Strength.MENTION
    listed = _ENDPOINTS.search(block.section) is not None
    return Strength.LISTED if listed and (block.kind == "item" or marked) else Strength.MENTION


def _is_sentence(rest: str) -> bool:
    """`POST /x when it is ready` is about an endpoint; `POST /x - makes one` describes it."""
    return bool(rest) and rest[0].isalpha() and rest[0].islower()


def _is_elsewhere(block: Block) -> bool:
    innermost = block.headings[-1].lower() if block.headings else ""
    if _ENDPOINTS.search(innermost) and not re.search(r"required|consumed|external", innermost):
        return False
    return bool(_ELSEWHERE.search(block.section))


def _udc_bullet(
    found: re.Match[str], text: str, index: int, block: Block, line: int
) -> Iterator[Mention]:
    """`/health` - text: only the paths whose method the UDC fixes, below a heading that says so."""
    path = found["path"]
    method = next((m for end, m in UDC_PATHS.items() if path.endswith(end)), None)
    if method and re.search(r"\b(?:udc|ubic|endpoints)\b", block.section):
        rest = text[found.end() :]
        yield Mention(method, path, "", line, index, Strength.DEFINED, rest, "bullet")


def _fence(index: int, block: Block) -> Iterator[Mention]:
    if block.info.split(" ")[0] not in _CODE_INFO:
        return
    yield from _decorators(index, block)
    yield from _websocket_calls(index, block)
    depth, first = 0, True
    elsewhere = _is_elsewhere(block)
    for line, text in block.numbered_lines():
        found = _LEADING.match(text.strip()) if depth <= 0 else None
        if found and text[:1].strip():
            strength = Strength.MENTION if elsewhere and not first else Strength.DEFINED
            strength = Strength.MENTION if _is_flow(block) else strength
            yield from _mention(found, index, line, strength, "fence")
        first = first and (not text.strip() or text.strip().startswith(("#", "//")))
        depth += text.count("{") - text.count("}") if not found else 0


def _is_flow(block: Block) -> bool:
    return bool(re.search(r"flow|diagram|scenario|example usage|test|integration", block.section))


def _decorators(index: int, block: Block) -> Iterator[Mention]:
    for line, text in block.numbered_lines():
        if found := _DECORATOR.match(text):
            strength = Strength.LISTED if _is_elsewhere(block) else Strength.DEFINED
            yield from _mention(found, index, line, strength, "decorator")


def _websocket_calls(index: int, block: Block) -> Iterator[Mention]:
    """A call such as `wscat -c wss://host/ws` defines, where a section is about the WebSocket."""
    if _is_elsewhere(block) or not re.search(r"web ?socket|real-?time", block.section):
        return
    for line, text in block.numbered_lines():
        if found := _WEBSOCKET_CALL.search(text):
            yield from _mention(found, index, line, Strength.LISTED, "call")


def _row(index: int, block: Block) -> Iterator[Mention]:
    cells = [plain_text(cell) for cell in block.text.split("\t")]
    found = _LEADING.match(" ".join(cells[:2])) or _LEADING.match(cells[0] if cells else "")
    if found is None and len(cells) > 1:
        found = _LEADING.match(f"{cells[1]} {cells[0]}")
    if found:
        strength = Strength.MENTION if _is_elsewhere(block) else Strength.DEFINED
        rest = " ".join(cells[2:]) or found["rest"]
        for mention in _mention(found, index, block.line, strength, "row"):
            yield Mention(
                mention.method,
                mention.path,
                mention.query,
                block.line,
                index,
                strength,
                rest,
                "row",
            )


def _mention(
    found: re.Match[str], index: int, line: int, strength: Strength, source: str
) -> Iterator[Mention]:
    method = found["method"].upper()
    method = "WS" if method in {"WSS", "WEBSOCKET"} else method
    method = "ANY" if method in {"API_ROUTE", "ROUTE"} else method
    path, _, query = found["path"].partition("?")
    path = normal_path(path)
    rest = found.groupdict().get("rest") or ""
    if path is not None and not _CONTINUED.search(rest):
        yield Mention(method, path, query, line, index, strength, rest, source)


def normal_path(path: str) -> str | None:
    """The path with `{name}` parameters; None if it is no path of one service."""
    path = re.sub(r"<(?:\w+:)?(\w+)>|:([A-Za-z_]\w*)(?=/|$)", _parameter, path)
    path = re.sub(r"\{(\w+):(?:path)\}$", r"{\1}", path.rstrip(".:"))
    path = path if path == "/" else path.rstrip("/")
    if "//" in path or "[" in path or path.count("{") != path.count("}"):
        return None
    segments = path.split("/")[1:]
    return path if all(_is_segment(segment) for segment in segments) or path == "/" else None


def _parameter(match: re.Match[str]) -> str:
    return "{" + (match[1] or match[2]) + "}"


def _is_segment(segment: str) -> bool:
    return (
        bool(re.fullmatch(r"(?:[\w.~@$+!%-]|\{[\w-]+\})+", segment, re.ASCII)) and segment != ".."
    )
