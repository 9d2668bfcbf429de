"""A question as the parameters of a Messages request. Pure.

Order and bytes matter: tools, then the stable system block with the one cache breakpoint, then what
differs. No forced tool, no prefilled answer, no sampling parameter: current models answer 400 to
each of them.
"""

from collections.abc import Sequence
from typing import Any

from build_executor.claude_models import known
from build_executor.generators.model import Question

MOST_OUTPUT = 32_768
FUNCTION_TOOL = "write_function"
FILE_TOOL = "write_file"

Json = dict[str, Any]


def _schema(properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _text(description: str) -> Json:
    return {"type": "string", "description": description}


_TOOLS: tuple[Json, ...] = (
    {
        "name": FUNCTION_TOOL,
        "description": (
            "Write one function, whole: its signature as it was given, and its body. Call it once "
            "for each function that the task asks for, several times in one answer if you can."
        ),
        "input_schema": _schema(
            {
                "name": _text("the function's name, as the task gives it"),
                "source": _text("the whole function, from `def` to its last line"),
            }
        ),
        "strict": True,
    },
    {
        "name": FILE_TOOL,
        "description": "Write one file, whole. Only for the paths that the task asks for.",
        "input_schema": _schema(
            {
                "path": _text("relative to the service's folder, as the task gives it"),
                "content": _text("the whole text of the file"),
            }
        ),
        "strict": True,
    },
)
_STRUCTURE = _schema(
    {
        "writes": {
            "type": "array",
            "items": _schema(
                {
                    "kind": {"enum": ["function", "file"]},
                    "name": _text("the function's name or the file's path, as the task gives it"),
                    "text": _text("the whole function, or the whole text of the file"),
                }
            ),
        }
    }
)
# What an answer of 400 may name, and which of our parameters is then left out.
_NAMED = (
    ("output_config.format", "format"),
    ("output_format", "format"),
    ("json_schema", "format"),
    ("effort", "effort"),
    ("output_config", "effort"),
    ("strict", "strict"),
    ("cache_control", "cache_control"),
    ("tool_choice", "tool_choice"),
    ("thinking", "thinking"),
)
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})


def parameters(
    question: Question,
    model: str,
    turns: Sequence[Json] = (),
    dropped: frozenset[str] = frozenset(),
) -> Json:
    """The request's body; `turns` are what was said after the task, `dropped` is left out."""
    structured = question.form == "structured" and "format" not in dropped
    config = _output_config(question, model, dropped, structured=structured)
    return {
        "model": model,
        "max_tokens": most_output(model),
        "system": [_stable(question, dropped)],
        "messages": [{"role": "user", "content": question.task}, *_said(turns, dropped)],
        **({} if structured else _tools(dropped)),
        **({"output_config": config} if config else {}),
    }


def most_output(model: str) -> int:
    """The output limit asked for: thinking counts towards it, so a small one truncates code."""
    facts = known(model)
    return MOST_OUTPUT if facts is None else min(MOST_OUTPUT, facts.most_output)


def countable(body: Json) -> Json:
    """The part of the body that a count of its tokens takes."""
    return {name: value for name, value in body.items() if name != "max_tokens"}


def named_parameter(message: str) -> str | None:
    """Which of our parameters an answer of 400 complains of; None if it is another fault."""
    return next((ours for theirs, ours in _NAMED if theirs in message), None)


def _stable(question: Question, dropped: frozenset[str]) -> Json:
    block: Json = {"type": "text", "text": question.stable}
    if "cache_control" not in dropped:
        block["cache_control"] = {"type": "ephemeral"}
    return block


def _said(turns: Sequence[Json], dropped: frozenset[str]) -> list[Json]:
    """The turns; without thoughts where they are not taken back: they are bound to their model."""
    if "thinking" not in dropped:
        return [*turns]
    return [
        {**turn, "content": [block for block in turn["content"] if block["type"] not in _THOUGHTS]}
        for turn in turns
    ]


def _tools(dropped: frozenset[str]) -> Json:
    lax = [{key: tool[key] for key in tool if key != "strict"} for tool in _TOOLS]
    tools = lax if "strict" in dropped else [dict(tool) for tool in _TOOLS]
    choice = {} if "tool_choice" in dropped else {"tool_choice": {"type": "auto"}}
    return {"tools": tools, **choice}


def _output_config(
    question: Question, model: str, dropped: frozenset[str], *, structured: bool
) -> Json:
    facts = known(model)
    takes_effort = (facts is None or facts.takes_effort) and "effort" not in dropped
    return {
        **({"effort": question.effort} if takes_effort else {}),
        **({"format": {"type": "json_schema", "schema": _STRUCTURE}} if structured else {}),
    }
