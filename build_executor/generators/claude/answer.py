"""An answer as its events arrive, and what of it is whole.

The provider's client hands over a truncated tool call as a smaller one and a cut stream as a
normal message. So the events are read here, and a write counts only once something follows that
cannot follow half a write.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from build_executor.generators.claude.request import FILE_TOOL, FUNCTION_TOOL
from build_executor.generators.model import Outcome, Usage, Write

_CHARACTERS_PER_TOKEN = 3
_FINE = frozenset({"end_turn", "tool_use", "stop_sequence"})
_OUTCOMES = {
    "max_tokens": Outcome.TRUNCATED,
    "model_context_window_exceeded": Outcome.TOO_LONG,
    "refusal": Outcome.REFUSED,
}

Json = Mapping[str, Any]


@dataclass
class Block:
    """One content block: text, thinking, or a call of a tool."""

    start: Json
    pieces: list[str] = field(default_factory=list)
    signature: str = ""

    @property
    def kind(self) -> str:
        """`text`, `tool_use`, `thinking`, or a kind that is still unknown here."""
        return str(self.start.get("type"))

    @property
    def text(self) -> str:
        """All of its pieces."""
        return "".join(self.pieces)

    @property
    def input(self) -> dict[str, Any] | None:
        """A tool call's input; None while its JSON is not complete."""
        try:
            found = json.loads(self.text or "{}")
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def said_again(self) -> dict[str, Any]:
        """The block as it is sent back when the conversation goes on."""
        match self.kind:
            case "text":
                return {"type": "text", "text": self.text}
            case "thinking":
                return {"type": "thinking", "thinking": self.text, "signature": self.signature}
            case "tool_use":
                return {**self.start, "input": self.input or {}}
            case _:
                return dict(self.start)


class Answer:
    """Takes the events of one call, in order."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.stop_reason: str | None = None
        self.stop_details: Json = {}
        self.model = ""
        self.is_over = False
        self._usage: dict[str, int] = {}

    @property
    def has_begun(self) -> bool:
        """Whether anything was answered, which is billed."""
        return bool(self._usage)

    def take(self, event: Json) -> None:
        """The next event of the stream; kinds that are unknown here change nothing."""
        match event.get("type"):
            case "message_start":
                self.model = str(event["message"].get("model", ""))
                self._count(event["message"].get("usage") or {})
            case "message_delta":
                self.stop_reason = event["delta"].get("stop_reason")
                self.stop_details = event["delta"].get("stop_details") or {}
                self._count(event.get("usage") or {})
            case "message_stop":
                self.is_over = True
            case _:
                self._take_content(event)

    def _take_content(self, event: Json) -> None:
        """A block's own end proves nothing: it comes after half a call as well."""
        match event.get("type"):
            case "content_block_start":
                self.blocks.append(Block(event["content_block"]))
            case "content_block_delta":
                self._append(event["delta"])

    def _append(self, delta: Json) -> None:
        block = self.blocks[-1]
        for name in ("text", "partial_json", "thinking"):
            block.pieces.append(delta.get(name) or "")
        block.signature = delta.get("signature") or block.signature

    def _count(self, usage: Json) -> None:
        self._usage |= {name: n for name, n in usage.items() if isinstance(n, int)}

    @property
    def outcome(self) -> Outcome:
        """How the answer ended, as far as its events say."""
        if not self.is_over:
            return Outcome.CUT
        if self.stop_reason in _FINE:
            return Outcome.COMPLETE
        return _OUTCOMES.get(self.stop_reason or "", Outcome.CUT)

    @property
    def is_paused(self) -> bool:
        """Whether the provider wants its own words back, to go on with them."""
        return self.is_over and self.stop_reason == "pause_turn"

    def whole_calls(self) -> list[Block]:
        """The tool calls that nothing can cut any more."""
        fine = self.outcome is Outcome.COMPLETE or self.is_paused
        certain = self.blocks if fine else self.blocks[:-1]
        return [block for block in certain if block.kind == "tool_use" and block.input is not None]

    def text(self) -> str:
        """What was said beside the calls."""
        return "\n".join(block.text for block in self.blocks if block.kind == "text").strip()

    def usage(self) -> Usage:
        """The tokens as counted by the provider; the output of a broken answer is estimated."""
        counted = self._usage.get("output_tokens", 0)
        said = sum(len(piece) for block in self.blocks for piece in block.pieces)
        estimated = 0 if self.is_over else said // _CHARACTERS_PER_TOKEN
        return Usage(
            input_tokens=self._usage.get("input_tokens", 0),
            cache_write_tokens=self._usage.get("cache_creation_input_tokens", 0),
            cache_read_tokens=self._usage.get("cache_read_input_tokens", 0),
            output_tokens=max(counted, estimated),
        )


def written_by(call: Block) -> Write | None:
    """The write that a tool call stands for; None if it is none."""
    found = call.input or {}
    match call.start.get("name"):
        case str(name) if name == FUNCTION_TOOL:
            return _write("function", found.get("name"), found.get("source"))
        case str(name) if name == FILE_TOOL:
            return _write("file", found.get("path"), found.get("content"))
        case _:
            return None


def structured_writes(text: str) -> Iterator[Write]:
    """The writes of an answer in the structured form; none if it is not in that form."""
    try:
        listed = json.loads(text)["writes"]
        found = [_write(item["kind"], item["name"], item["text"]) for item in listed]
    except (ValueError, KeyError, TypeError):
        return
    yield from (write for write in found if write is not None)


def _write(kind: object, name: object, text: object) -> Write | None:
    if not isinstance(name, str) or not isinstance(text, str):
        return None
    if kind == "function":
        return Write(kind="function", name=name, text=text)
    return Write(kind="file", name=name, text=text) if kind == "file" else None
