"""A Markdown document as a flat list of blocks, each with its line and the headings above it.

Only block structure is parsed: inline parsing of hostile text is where Markdown gets slow, and the
SPECs' inline marks (bold, backticks) carry no meaning that `plain_text` does not keep.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

_MARKS = re.compile(r"\*\*|__|`")
_LONGEST_LINE = 2000
_LIST_KINDS = frozenset({"bullet_list_open", "ordered_list_open"})


@dataclass(frozen=True, slots=True)
class Block:
    """One heading, paragraph, list item's text, code fence or table row."""

    kind: Literal["heading", "paragraph", "item", "fence", "row"]
    text: str
    line: int
    level: int = 0
    info: str = ""
    headings: tuple[str, ...] = ()

    @property
    def section(self) -> str:
        """The headings above, outermost first, in lower case."""
        return " / ".join(self.headings).lower()

    def numbered_lines(self) -> Iterator[tuple[int, str]]:
        """Each line of the text with its number in the document."""
        return enumerate(self.text.split("\n"), start=self.line)


def plain_text(text: str) -> str:
    """The text without bold and code marks."""
    return _MARKS.sub("", text).strip()


def read_blocks(text: str) -> tuple[Block, ...]:
    """All blocks in order; any text gives some blocks, and none is refused."""
    parser = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])
    tokens = parser.parse(text)
    return tuple(_blocks(tokens))


def _short_lines(text: str) -> str:
    """Prose with its lines cut where no sentence goes on: patterns need not meet longer ones."""
    if len(text) <= _LONGEST_LINE:
        return text
    return "\n".join(line[:_LONGEST_LINE] for line in text.split("\n"))


def _blocks(tokens: list[Token]) -> Iterator[Block]:
    headings: list[tuple[int, str]] = []
    depth = 0
    for index, token in enumerate(tokens):
        depth += _depth_change(token)
        block = _block(tokens, index, depth, tuple(text for _, text in headings))
        if block is None:
            continue
        if block.kind == "heading":
            headings = [entry for entry in headings if entry[0] < block.level]
            headings.append((block.level, plain_text(block.text)))
        yield block


def _depth_change(token: Token) -> int:
    if token.type in _LIST_KINDS:
        return 1
    return -1 if token.type in {"bullet_list_close", "ordered_list_close"} else 0


def _block(tokens: list[Token], index: int, depth: int, headings: tuple[str, ...]) -> Block | None:
    token = tokens[index]
    line = (token.map or [0])[0] + 1
    if token.type in {"fence", "code_block"}:
        first = line + (1 if token.type == "fence" else 0)
        info = token.info.strip().lower()
        return Block("fence", token.content.rstrip("\n"), first, depth, info, headings)
    if token.type == "tr_open":
        return Block(
            "row", _short_lines("\t".join(_cells(tokens, index))), line, depth, "", headings
        )
    if token.type != "inline":
        return None
    return _inline(tokens[index - 1], token, depth, headings)


def _inline(opening: Token, token: Token, depth: int, headings: tuple[str, ...]) -> Block | None:
    line = (token.map or [0])[0] + 1
    if opening.type == "heading_open":
        return Block(
            "heading", _short_lines(token.content), line, int(opening.tag[1:]), "", headings
        )
    if opening.type == "paragraph_open":
        kind: Literal["item", "paragraph"] = "item" if depth else "paragraph"
        return Block(kind, _short_lines(token.content), line, depth, "", headings)
    return None


def _cells(tokens: list[Token], index: int) -> Iterator[str]:
    while tokens[index].type != "tr_close":
        if tokens[index].type == "inline":
            yield tokens[index].content
        index += 1
