"""Documents that are no SPEC of one HTTP service, and how that is seen."""

import re
from collections.abc import Sequence
from enum import StrEnum

from build_executor.errors import SpecRefused
from build_executor.spec.drafts import Draft
from build_executor.spec.header import Header
from build_executor.spec.markdown import Block, plain_text

_PLACEHOLDER = re.compile(
    r"\[(?:[A-Z][\w ]*(?:Name|Title|Service|Description)|service[ _-]?name|resource)\]"
)
_TITLE_PLACEHOLDER = re.compile(r"^\W*(?:SPEC:?\s*)?[\[<{]+[A-Za-z][\w _-]*[\]>}]+")
_PLACEHOLDER_PATH = re.compile(r"/\[[a-z][\w -]*\]")
_OF_SERVICE = re.compile(r"^[\d.)\s]*([A-Z][\w -]{1,40}?)\s*\(\s*[Pp]ort:?\s*(\d{2,5})\s*\)")
_FEWEST_PLACEHOLDERS = 3
_FEWEST_SERVICES = 2


class Refusal(StrEnum):
    """Why a document is not built."""

    PROSE = "prose"
    TEMPLATE = "template"
    SEVERAL_SERVICES = "several_services"
    UNNAMED = "unnamed"
    INVALID_OPENAPI = "invalid_openapi"
    TOO_LARGE = "too_large"


MOST_ENDPOINTS = 400


def refuse_too_many(number: int, line: int) -> None:
    """Raises SpecRefused for more endpoints than one service has."""
    if number > MOST_ENDPOINTS:
        message = f"more than {MOST_ENDPOINTS} endpoints: {number}"
        raise SpecRefused(Refusal.TOO_LARGE, message, line)


def refuse_unbuildable(blocks: Sequence[Block], header: Header, drafts: Sequence[Draft]) -> None:
    """Raises SpecRefused with the reason and the line, unless the document is one service's."""
    _refuse_template(blocks)
    _refuse_several(blocks)
    if not drafts:
        message = "no HTTP endpoint is defined: this is no specification of an HTTP service"
        raise SpecRefused(Refusal.PROSE, message, header.line)
    if _is_lone_page(header, drafts):
        message = "its only endpoint is one view, and no port and no UDC endpoint are stated"
        raise SpecRefused(Refusal.PROSE, message, drafts[0].line)
    if not header.service:
        raise SpecRefused(Refusal.UNNAMED, "the service's name is not stated", header.line)


def _is_lone_page(header: Header, drafts: Sequence[Draft]) -> bool:
    return len(drafts) == 1 and drafts[0].method == "GET" and header.port is None


def _refuse_template(blocks: Sequence[Block]) -> None:
    title = next((block for block in blocks if block.kind == "heading"), None)
    if title is not None and _TITLE_PLACEHOLDER.match(plain_text(title.text)):
        message = f"a template: its title is the placeholder {plain_text(title.text)[:60]!r}"
        raise SpecRefused(Refusal.TEMPLATE, message, title.line)
    found = [b for b in blocks if _PLACEHOLDER.search(b.text) or _is_placeholder_route(b)]
    if len(found) >= _FEWEST_PLACEHOLDERS:
        message = f"a template: {len(found)} places still hold placeholders"
        raise SpecRefused(Refusal.TEMPLATE, message, found[0].line)


def _is_placeholder_route(block: Block) -> bool:
    return block.kind == "heading" and bool(_PLACEHOLDER_PATH.search(block.text))


def _refuse_several(blocks: Sequence[Block]) -> None:
    """Headings such as `2. Orchestrator (Port 8001)` below which endpoints of that one stand."""
    services: dict[str, int] = {}
    for block in blocks:
        found = _OF_SERVICE.match(plain_text(block.text)) if block.kind == "heading" else None
        if found and not re.search(r"depend|integrat|requir|external", block.section):
            services.setdefault(found[1], block.line)
    if len(services) >= _FEWEST_SERVICES:
        names = ", ".join(list(services)[:4])
        message = f"several services in one document: {names}"
        raise SpecRefused(Refusal.SEVERAL_SERVICES, message, min(services.values()))
