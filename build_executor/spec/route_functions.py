"""What the code of a route says of it: the arguments of a decorator and of its function."""

import ast
import re
from typing import cast

from build_executor.spec.drafts import Body, Draft
from build_executor.spec.json_reader import type_word
from build_executor.spec.markdown import Block
from build_executor.spec.python_models import bounds_in, default_of
from build_executor.spec.sentences import describe
from build_executor.spec.statements import Statement

_SIGNATURE = re.compile(
    r"^\s*(?:async\s+)?def\s+(\w+)\((.*?)\)(?:\s*->\s*([\w\[\], .|]+))?:", re.MULTILINE | re.DOTALL
)


def add_decorator(draft: Draft, rest: str) -> None:
    """What a decorator says behind the path: `response_model=List[X], status_code=201`."""
    if found := re.search(r"\bresponse_model\s*=\s*(?:typing\.)?[Ll]ist\[(\w+)", rest):
        draft.response = Body({"type": "array", "items": {}}, None, draft.line)
        draft.response_model = found[1]
    if found := re.search(r"\bstatus_code\s*=\s*(?:\w+\.HTTP_)?(2\d\d)\b", rest):
        draft.success = int(found[1])


def add_signature(draft: Draft, piece: Block) -> None:
    """A decorated function's parameters: a class is the body, a scalar comes in the query."""
    found = _SIGNATURE.search(piece.text)
    if found is None:
        return
    documentation = re.search(r'"""(.*?)(?:\n\s*\n|"""|$)', piece.text[found.end() :], re.DOTALL)
    if documentation and documentation[1].strip():
        describe(draft, " ".join(documentation[1].split()))
    try:
        function = ast.parse(f"def f({found[2]}): ...").body[0]
    except (SyntaxError, ValueError, RecursionError):
        return
    _add_arguments(draft, cast("ast.FunctionDef", function))


def _add_arguments(draft: Draft, function: ast.FunctionDef) -> None:
    arguments = function.args.args
    defaults = [None] * (len(arguments) - len(function.args.defaults)) + [*function.args.defaults]
    for argument, default in zip(arguments, defaults, strict=True):
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        if "{" + argument.arg + "}" in draft.path or kind in {"", "Request", "WebSocket"}:
            continue
        if _is_scalar(kind) or (default is not None and "Query" in ast.unparse(default)):
            draft.query.setdefault(argument.arg, None)
            _add_bounds(draft, argument.arg, kind, default)
        elif kind.isidentifier() and draft.method in {"POST", "PUT", "PATCH"}:
            draft.request_model = draft.request_model or kind


def _is_scalar(kind: str) -> bool:
    return (
        kind.split("[", maxsplit=1)[0] in {"str", "int", "float", "bool", "Optional"}
        or "None" in kind
    )


def _add_bounds(draft: Draft, name: str, kind: str, default: ast.expr | None) -> None:
    """`limit: int = Query(20, ge=1, le=100)` says its type, its default and its limits."""
    hint = type_word(kind)
    shape = {**hint.shape, **bounds_in(default)} if hint is not None else bounds_in(default)
    values = [value for value in default_of(default) if value is not None]
    if values and hint is not None:
        shape["default"] = values[0]
    if shape:
        draft.statements[name] = Statement(shape, required=default is None)
