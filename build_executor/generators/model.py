"""The wall between whoever asks a language model for code and whoever speaks to its provider.

A question names what may be written, a reply holds what was written in whole, and the outcome says
how the answer ended. Everything that a truncated, cut or refused answer can look like is an
outcome here, so that no half function is ever taken for a function.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Literal, Protocol

from pydantic import Field

from build_executor.models import Usage, Value

__all__ = ["Hear", "Model", "Outcome", "Question", "Reply", "Usage", "Write", "WriteKind", "ignore"]

WriteKind = Literal["function", "file"]


class Write(Value):
    """One function or file, whole, as the model wrote it; nobody has judged its text yet."""

    kind: WriteKind
    name: str = Field(description="the function's name, or the file's path relative to the source")
    text: str


class Outcome(StrEnum):
    """How an answer ended. Only `complete` says that the model wrote all it meant to write."""

    COMPLETE = "complete"
    TRUNCATED = "truncated"  # the output limit: finished writes are kept, the last one is not
    CUT = "cut"  # the stream ended without its end: finished writes are kept
    OVERLOADED = "overloaded"  # in mid-stream, and again when asked again
    TIMED_OUT = "timed_out"  # our own wall clock: finished writes are kept, and there are some
    REFUSED = "refused"  # the same model is not to be asked the same again
    PROSE = "prose"  # it ended well and wrote nothing
    TOO_LONG = "too_long"  # the question does not fit: ask for less


class Question(Value):
    """What is asked; `stable` is cached by the provider: the same bytes in every attempt."""

    stable: str = Field(description="the rules, then the SPEC and the contract as data")
    task: str = Field(description="this attempt's message: current code and findings")
    functions: frozenset[str] = Field(default=frozenset(), description="names it may write")
    files: frozenset[str] = Field(default=frozenset(), description="paths it may write")
    form: Literal["tools", "structured"] = "tools"
    effort: Literal["low", "medium", "high"] = "medium"
    attempt: int = Field(default=1, ge=1, description="for the account of what was spent")


class Reply(Value):
    """What came back, over all the calls that one question took."""

    outcome: Outcome
    model: str = Field(description="the one that answered")
    writes: tuple[Write, ...] = Field(default=(), description="whole, and asked for; last one wins")
    unasked: tuple[Write, ...] = Field(
        default=(), description="whole, but neither in `functions` nor in `files`: to be refused"
    )
    text: str = Field(default="", description="what it said beside its writes")
    usage: Usage = Usage()
    dollars: float | None = Field(default=None, description="None: no price is known")
    detail: str = Field(default="", description="why the outcome is what it is, for people")

    def texts(self, kind: WriteKind) -> dict[str, str]:
        """What was written, by name, without the fence that models put around code out of habit."""
        return {write.name: _unfenced(write.text) for write in self.writes if write.kind == kind}


def _unfenced(text: str) -> str:
    lines = text.strip("\n").splitlines()
    if len(lines) > 1 and lines[0].startswith("```") and lines[-1].strip() == "```":
        lines = lines[1:-1]
    return "\n".join(lines) + "\n"


Hear = Callable[[Write], None]


def ignore(_: Write) -> None:
    """Hear nothing."""


class Model(Protocol):
    """Answers questions; every call is counted, and made only while the ceilings allow it."""

    def ask(self, question: Question, hear: Hear = ignore) -> Reply:
        """One answer; `hear` is told of each asked-for write as soon as it is known to be whole.

        Raises ModelUnavailable if no model of the list answers in time, and CostCeilingReached,
        before any call, if the answer could cost more than is left.
        """
