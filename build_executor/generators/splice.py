"""Functions taken out of a module's text and put into it, with everything around them left alone.

Text in, text out: nothing is run, and comments survive. Two modules that differ only in some of
their functions can be told apart function by function.
"""

import ast
from collections.abc import Iterator, Mapping


def functions_in(text: str) -> dict[str, str]:
    """The module's own functions by their names, as written; SyntaxError if it is no Python."""
    lines = text.splitlines()
    return {node.name: _source(node, lines) for node in _functions(text)}


def imports_in(text: str) -> tuple[str, ...]:
    """The module's own import statements, in their order."""
    return tuple(ast.unparse(node) for node in ast.parse(text).body if _is_import(node))


def helpers_in(text: str, functions: Mapping[str, object]) -> tuple[str, ...]:
    """What a module defines beside these functions and its imports: constants and classes."""
    lines = text.splitlines()
    return tuple(
        _source(node, lines)
        for node in ast.parse(text).body
        if not _is_import(node) and not _is_docstring(node) and _name(node) not in functions
    )


def spliced(text: str, functions: Mapping[str, str]) -> str:
    """The module with these functions instead of those of the same names; others come at its end.

    What a function's text imports before it is imported at the module's top.
    """
    parts = {name: _parted(source) for name, source in functions.items()}
    lines = text.splitlines()
    for node in sorted(_functions(text), key=lambda node: node.lineno, reverse=True):
        if node.name in parts:
            lines[_first_line(node) - 1 : node.end_lineno] = [parts.pop(node.name)[1]]
    added = [body for _, body in parts.values()]
    imports = [line for source in functions.values() for line in _parted(source)[0]]
    whole = "\n".join([*lines, *(f"\n\n{body}" for body in added)]) + "\n"
    return with_imports(whole, imports)


def with_imports(text: str, imports: list[str]) -> str:
    """The module with these import statements after its own."""
    wanted = [line for line in dict.fromkeys(imports) if line not in imports_in(text)]
    if not wanted:
        return text
    lines = text.splitlines()
    at = _end_of_imports(text)
    return "\n".join([*lines[:at], *wanted, *lines[at:]]) + "\n"


def _end_of_imports(text: str) -> int:
    ends = [
        node.end_lineno or 0
        for node in ast.parse(text).body
        if _is_import(node) or _is_docstring(node)
    ]
    return max(ends, default=0)


def _parted(source: str) -> tuple[list[str], str]:
    """The imports of a function's text, and the text without them."""
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if _is_import(node):
            del lines[node.lineno - 1 : node.end_lineno]
    return list(imports_in(source)), "\n".join(lines).strip("\n")


def _functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _source(node: ast.stmt, lines: list[str]) -> str:
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    first = _first_line(node) if is_function else node.lineno  # type: ignore[arg-type]
    return "\n".join(lines[first - 1 : node.end_lineno])


def _name(node: ast.stmt) -> str | None:
    return getattr(node, "name", None)


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _is_docstring(node: ast.stmt) -> bool:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text and isinstance(node.value.value, str)  # type: ignore[attr-defined]
