"""What a model is asked in each attempt: the same beginning each time, and another task.

The first attempt asks for everything, the second for what failed, with the findings, and the third
for one function at a time; so does the second if the first answer did not fit. No attempt repeats
an earlier one with other words.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from build_executor.generators.claude.holes import Hole, Unfilled
from build_executor.generators.claude.prompts import data, prompt
from build_executor.generators.filling import Filling, Rejected
from build_executor.generators.model import Question
from build_executor.models import Finding

LAST_ATTEMPT = 3
PROSE = "prose"
TOO_LONG = "too-long"
_MOST_FINDINGS = 30
_FROZEN = ("app/models.py", "app/errors.py", "tests/examples.py", "tests/test_written.py")


def stable_part(unfilled: Unfilled, spec: str) -> str:
    """The rules, then the SPEC and the frozen code: byte for byte the same in each attempt."""
    pieces = [
        prompt("rules").text,
        prompt("tests").text,
        data("SPEC.md", spec),
        *(data(name, unfilled.files[name]) for name in _FROZEN),
        data(
            "app/repository.py, its public face", public_face(unfilled.files["app/repository.py"])
        ),
        data("app/logic.py", unfilled.files["app/logic.py"]),
    ]
    return "\n\n".join(pieces)


def questions(
    unfilled: Unfilled, stable: str, filling: Filling, *, attempt: int
) -> Iterator[Question]:
    """The questions of one attempt: about the holes that are still open, and why they are."""
    holes = [hole for hole in unfilled.holes if hole.name in filling.open]
    is_last = attempt >= LAST_ATTEMPT
    words = prompt("single" if is_last else "first" if attempt == 1 else "repair").text
    rejected = {one.name: one for one in filling.rejected}
    alone = is_last or TOO_LONG in _rules(holes, rejected)
    for group in [[hole] for hole in holes] if alone else [holes]:
        about = [part for hole in group for part in _about(hole, rejected.get(hole.name))]
        about = [*_in_place(filling), *about]
        yield Question(
            stable=stable,
            task="\n\n".join([words, *about]),
            functions=frozenset(hole.name for hole in group),
            files=frozenset(hole.test_path for hole in group),
            form="structured" if _wrote_nothing(group, rejected) else "tools",
            effort="high" if is_last else "medium",
            attempt=attempt,
        )


def fix_question(
    unfilled: Unfilled, stable: str, functions: Mapping[str, str], findings: Sequence[Finding]
) -> Question:
    """What is asked after a build failed in these functions."""
    holes = [hole for hole in unfilled.holes if hole.name in functions]
    shown = [data(f"function {name}", text) for name, text in sorted(functions.items())]
    parts = [prompt("fix").text, *shown, data("output", _listed(findings))]
    return Question(
        stable=stable,
        task="\n\n".join([*parts, *(_header(hole) for hole in holes)]),
        functions=frozenset(functions),
        effort="high",
        attempt=LAST_ATTEMPT + 1,
    )


def public_face(source: str) -> str:
    """A module's types, classes and functions with their signatures and words, without bodies."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            words = ast.get_docstring(node)
            kept: list[ast.stmt] = [ast.Expr(ast.Constant(words))] if words else []
            node.body = [*kept, ast.Expr(ast.Constant(...))]
    shown = (n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Assign))
    text = "\n\n".join(ast.unparse(_public(node)) for node in shown if not _is_private(node))
    return re.sub(r"\n{3,}", "\n\n", text)


def _public(node: ast.FunctionDef | ast.ClassDef | ast.Assign) -> ast.stmt:
    if isinstance(node, ast.ClassDef):
        node.body = [inner for inner in node.body if not _is_private(inner)]
    return node


def _is_private(node: ast.stmt) -> bool:
    named = node.targets[0] if isinstance(node, ast.Assign) else node
    return str(getattr(named, "name", getattr(named, "id", ""))).startswith("_")


def _in_place(filling: Filling) -> list[str]:
    """What was accepted: the stable part shows how it was left, and others keep to its records."""
    return [data(f"in place: {name}", text) for name, text in sorted(filling.functions.items())]


def _about(hole: Hole, rejected: Rejected | None) -> Iterator[str]:
    yield _header(hole)
    yield data(f"SPEC.md, line {hole.spec_line}", hole.excerpt)
    yield data("skeleton", hole.skeleton)
    if rejected is not None and rejected.text is not None:
        yield data("what you wrote", rejected.text)
    if rejected is not None and rejected.findings:
        yield data("findings", _listed(rejected.findings))


def _header(hole: Hole) -> str:
    """The operation's label comes from the SPEC, so it stands with the data."""
    return f"Function `{hole.name}`; its extra tests, if any, at `{hole.test_path}`."


def _listed(findings: Sequence[Finding]) -> str:
    return "\n".join(f"- {finding}" for finding in list(dict.fromkeys(findings))[:_MOST_FINDINGS])


def _wrote_nothing(group: Sequence[Hole], rejected: Mapping[str, Rejected]) -> bool:
    """Whether the last answer held no calls at all: another form is then worth a try."""
    return _rules(group, rejected) == {PROSE}


def _rules(group: Sequence[Hole], rejected: Mapping[str, Rejected]) -> set[str]:
    return {f.rule for hole in group if (r := rejected.get(hole.name)) for f in r.findings}
