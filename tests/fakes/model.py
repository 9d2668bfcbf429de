"""Models that need no network: one plays a script, one obeys whatever it is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from build_executor.generators.model import Hear, Outcome, Question, Reply, Usage, Write, ignore

Step = Reply | Exception | Callable[[Question], Reply]


def reply(
    functions: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    *,
    outcome: Outcome = Outcome.COMPLETE,
    detail: str = "",
) -> Reply:
    """An answer with these writes, all of them whole."""
    writes = [Write(kind="function", name=n, text=t) for n, t in (functions or {}).items()]
    writes += [Write(kind="file", name=n, text=t) for n, t in (files or {}).items()]
    usage = Usage(input_tokens=1000, output_tokens=100)
    return Reply(
        outcome=outcome,
        model="scripted-1",
        writes=tuple(writes),
        usage=usage,
        dollars=0.01,
        detail=detail,
    )


@dataclass
class ScriptedModel:
    """Plays one step a question; what it was not asked for comes back as unasked."""

    script: list[Step] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def ask(self, question: Question, hear: Hear = ignore) -> Reply:
        self.questions.append(question)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        said = step if isinstance(step, Reply) else step(question)
        asked = [write for write in said.writes if _is_asked(write, question)]
        for write in asked:
            hear(write)
        unasked = [write for write in said.writes if write not in asked]
        changed = {"writes": tuple(asked), "unasked": (*said.unasked, *unasked)}
        return said.model_copy(update=changed)


def _is_asked(write: Write, question: Question) -> bool:
    offered = question.functions if write.kind == "function" else question.files
    return write.name in offered


def answering(functions: Mapping[str, str], files: Mapping[str, str] | None = None) -> Step:
    """Writes whatever of these is asked for, however often."""

    def answer(question: Question) -> Reply:
        wanted = {n: t for n, t in functions.items() if n in question.functions}
        offered = {n: t for n, t in (files or {}).items() if n in question.files}
        return reply(wanted, offered)

    return answer
