"""One question and all that was said to it: the writes that are whole, the turns, the bill."""

from collections.abc import Iterable
from typing import Any

from build_executor.generators.claude.answer import (
    Answer,
    Block,
    structured_writes,
    written_by,
)
from build_executor.generators.model import Hear, Outcome, Question, Reply, Usage, Write


class Conversation:
    """Grows by one answer a turn; `hear` is told of each asked-for write once it is whole."""

    def __init__(self, question: Question, hear: Hear) -> None:
        self.question, self._hear = question, hear
        self.turns: list[dict[str, Any]] = []
        self.model = ""
        self.goes_on = True
        self._writes: dict[tuple[str, str], Write] = {}
        self._unasked: list[Write] = []
        self._heard: set[int] = set()
        self._before = 0
        self._texts: list[str] = []
        self._usage, self._dollars = Usage(), [0.0]
        self._is_priced = True
        self._end: tuple[Outcome, str] = (Outcome.CUT, "")

    @property
    def has_writes(self) -> bool:
        """Whether anything asked for is there, which no later failure takes away."""
        return bool(self._writes)

    @property
    def has_news(self) -> bool:
        """Whether the present answer has brought whole writes, which asking again would repeat."""
        return bool(self._heard)

    def listen(self, answer: Answer) -> None:
        """Take in what has become whole; what an answer that broke off said so far is kept too."""
        for call in answer.whole_calls():
            if id(call) not in self._heard:
                self._heard.add(id(call))
                self._keep([written_by(call)])

    def take(self, answer: Answer) -> None:
        """An answer that has come to its end."""
        self.listen(answer)
        self._texts.append(answer.text())
        if answer.outcome is Outcome.COMPLETE and self.question.form == "structured":
            self._keep(structured_writes(answer.text()))
        self.ends(*_end(answer))
        brought_some = len(self._writes) > self._before
        self.goes_on = answer.is_paused or (brought_some and self._is_waited_for(answer))
        if self.goes_on:
            self.turns.extend(_turn(answer))
            self._heard.clear()
            self._before = len(self._writes)

    def ends(self, outcome: Outcome, detail: str) -> None:
        """The conversation is over, for the time being."""
        self._end, self.goes_on = (outcome, detail), False

    def spends(self, usage: Usage, dollars: float | None) -> None:
        """Add a call to the bill; one without a known price makes the whole unknown."""
        self._usage += usage
        self._is_priced = self._is_priced and dollars is not None
        self._dollars.append(dollars or 0.0)

    def reply(self) -> Reply:
        """All of it."""
        outcome, detail = self._end
        refused = outcome is Outcome.REFUSED
        writes = () if refused else tuple(self._writes.values())
        if outcome is Outcome.COMPLETE and not writes and not self._unasked:
            outcome = Outcome.PROSE
        return Reply(
            outcome=outcome,
            model=self.model,
            writes=writes,
            unasked=tuple(self._unasked),
            text="\n".join(text for text in self._texts if text),
            usage=self._usage,
            dollars=round(sum(self._dollars), 6) if self._is_priced else None,
            detail=detail,
        )

    def _keep(self, writes: Iterable[Write | None]) -> None:
        for write in writes:
            if write is None:
                continue
            asked = self.question.functions if write.kind == "function" else self.question.files
            if write.name not in asked:
                self._unasked.append(write)
                continue
            self._writes[write.kind, write.name] = write
            self._hear(write)

    def _is_waited_for(self, answer: Answer) -> bool:
        """Whether Claude waits for its tools' results and has something left that it should write.

        Files beside functions are an offer, not a demand.
        """
        wanted = self.question.functions or self.question.files
        written = {name for _, name in self._writes}
        return answer.stop_reason == "tool_use" and not wanted <= written


def _end(answer: Answer) -> tuple[Outcome, str]:
    outcome = answer.outcome
    if outcome is Outcome.COMPLETE:
        return outcome, ""
    details = answer.stop_details
    why = ": ".join(str(details[key]) for key in ("category", "explanation") if details.get(key))
    return outcome, f"stopped for `{answer.stop_reason}`" + (f" ({why})" if why else "")


def _turn(answer: Answer) -> list[dict[str, Any]]:
    """What Claude said, and what comes back from its tools."""
    said: dict[str, Any] = {
        "role": "assistant",
        "content": [
            block.said_again()
            for block in answer.blocks
            if block.kind != "text" or block.text.strip()  # an empty one is not taken back
        ],
    }
    results = [_result(block) for block in answer.blocks if block.kind == "tool_use"]
    return [said, {"role": "user", "content": results}] if results else [said]


def _result(call: Block) -> dict[str, Any]:
    kept = written_by(call) is not None
    return {
        "type": "tool_result",
        "tool_use_id": call.start.get("id"),
        "content": "kept" if kept else "not understood: give all of the tool's fields",
        **({} if kept else {"is_error": True}),
    }
