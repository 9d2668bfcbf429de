"""From a document's blocks to one draft an endpoint: mentions gathered, deduplicated, read."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from build_executor.spec.details import read_draft
from build_executor.spec.drafts import Draft
from build_executor.spec.markdown import Block
from build_executor.spec.naming import singular, snake
from build_executor.spec.refusals import refuse_too_many
from build_executor.spec.routes import Mention, Strength, find_mentions

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?:\.\.\.)?")
_SAMPLE = re.compile(
    r"\d+|[a-z]+[-_]\d{2,}[\w-]*|(?=\w*\d)(?=\w*[A-Z])\w{8,}(?:\.\.\.)?|\w+\.\.\.|0x[0-9a-fA-F]+"
)
_VERSION = re.compile(r"v\d+")


def read_drafts(blocks: tuple[Block, ...]) -> tuple[Draft, ...]:
    """The endpoints that the document defines, each once, in the document's order."""
    mentions = [m for m in find_mentions(blocks) if m.strength >= Strength.LISTED]
    refuse_too_many(len({(m.method, m.path) for m in mentions}), 1)
    drafts: dict[tuple[str, str], Draft] = {}
    for index, mention in enumerate(mentions):
        following = mentions[index + 1] if index + 1 < len(mentions) else None
        pieces = tuple(_scope(blocks, mention, following))
        draft = read_draft(replace(mention, path=_parametrised(mention.path)), pieces)
        key = route_key(draft.method, draft.path)
        known = drafts.get(key) or _same_call(drafts, mention)
        if known is None:
            drafts[key] = draft
        else:
            _complete(known, draft)
    return tuple(drafts.values())


def route_key(method: str, path: str) -> tuple[str, str]:
    """What makes two mentions the same endpoint: parameter names do not count."""
    return method, re.sub(r"\{[^}]*\}", "{}", path)


def _parametrised(path: str) -> str:
    """`/tasks/550e8400-...` is `/tasks/{task_id}` with an example's value in it."""
    segments = path.split("/")
    for index, segment in enumerate(segments):
        sample = _UUID.fullmatch(segment) or _SAMPLE.fullmatch(segment)
        if sample and not _VERSION.fullmatch(segment) and index > 1:
            name = singular(snake(segments[index - 1].strip("{}")))
            segments[index] = "{" + (name if name.endswith("_id") else f"{name}_id") + "}"
    return "/".join(segments)


def _same_call(drafts: dict[tuple[str, str], Draft], mention: Mention) -> Draft | None:
    """The endpoint that a fence calls with an example's value in its path, if it is known."""
    if mention.source != "fence":
        return None
    for draft in drafts.values():
        pattern = re.sub(r"\\\{[^}]*\\\}", r"[^/]+", re.escape(draft.path))
        sample = mention.path.rsplit("/", 1)[-1]
        if (
            draft.method == mention.method
            and "{" in draft.path
            and re.fullmatch(pattern, mention.path)
            and re.search(r"\d", sample)
        ):
            return draft
    return None


def _complete(known: Draft, other: Draft) -> None:
    """A later mention adds what the first one did not say."""
    known.summary = known.summary or other.summary
    known.request = known.request or other.request
    known.response = known.response or other.response
    known.success = known.success or other.success
    known.unlabelled = known.unlabelled or other.unlabelled
    known.inputs = known.inputs or other.inputs
    known.outputs = known.outputs or other.outputs
    for code, text in other.errors.items():
        known.errors.setdefault(code, text)
    for name, sample in other.query.items():
        known.query.setdefault(name, sample)


def _scope(blocks: Sequence[Block], mention: Mention, following: Mention | None) -> Iterator[Block]:
    """The blocks that belong to a mention, the rest of its own block first."""
    own = blocks[mention.block]
    shares = following is not None and following.block == mention.block
    end = following.line if following is not None and shares else None
    rest = _cut(own, mention.line, end)
    if rest is not None:
        yield rest
    if shares or mention.source in {"row", "bullet"}:
        return
    level = own.level if own.kind == "heading" else _innermost_level(blocks, mention.block)
    last = following.block if following is not None else len(blocks)
    for block in blocks[mention.block + 1 : last]:
        if block.kind == "heading" and (block.level <= level or own.kind != "heading"):
            return
        yield block


def _innermost_level(blocks: Sequence[Block], index: int) -> int:
    """The level of the innermost heading above a block."""
    above = (block.level for block in reversed(blocks[:index]) if block.kind == "heading")
    return next(above, 0)


def _cut(block: Block, after: int, until: int | None) -> Block | None:
    """The lines of a block after one line, up to another; a decorator keeps its function."""
    if block.kind in {"heading", "row"}:
        return None
    lines = block.text.split("\n")[after - block.line + 1 : until and until - block.line]
    return replace(block, text="\n".join(lines), line=after + 1) if lines else None
