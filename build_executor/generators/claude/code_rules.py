"""What a function or a test that a model wrote may contain, decided before it is ever imported.

The sandbox is the wall; this is the fence before it. A service's function computes and speaks to
the repository it is given, so it needs no files, processes, network, environment or reflection,
and code that reaches for them is refused with a finding instead of being run.
"""

import ast
import builtins
import importlib
import re
import types
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Self

from build_executor.models import Finding

GATE = "rules"
_MOST_LINES = 300
_LARGEST = 32 * 1024
_MODULES = frozenset(
    {"base64", "bisect", "calendar", "collections", "collections.abc", "datetime", "decimal"}
    | {"difflib", "fractions", "functools", "hashlib", "heapq", "hmac", "itertools", "json"}
    | {"math", "random", "re", "statistics", "textwrap", "unicodedata", "uuid"}
)
_REPOSITORY = frozenset({"Page", "Query", "Record", "Repository", "epoch", "new_id", "timestamp"})
_ERRORS = frozenset({"ConflictError", "NotFoundError", "ServiceError"})
_TEST_NAMES = {
    "pytest": frozenset({"approx", "mark", "raises", "fixture"}),
    "fastapi.testclient": frozenset({"TestClient"}),
}
_TYPING = frozenset({"Any", "Literal", "cast"})
_BUILTINS = frozenset(
    {"abs", "all", "any", "ascii", "bin", "bool", "bytes", "chr", "complex", "dict", "divmod"}
    | {"enumerate", "filter", "float", "format", "frozenset", "hash", "hex", "int", "isinstance"}
    | {"iter", "len", "list", "map", "max", "min", "next", "object", "oct", "ord", "pow", "range"}
    | {"repr", "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "zip"}
    | {"ArithmeticError", "AssertionError", "AttributeError", "Exception", "IndexError"}
    | {"KeyError", "LookupError", "OverflowError", "StopIteration", "TypeError", "ValueError"}
    | {"ZeroDivisionError"}
)
_FORBIDDEN = (
    ast.AsyncFunctionDef,
    ast.Await,
    ast.ClassDef,
    ast.Global,
    ast.AsyncFor,
    ast.AsyncWith,
)
_SUPPRESSIONS = ("noqa", "type:", "pylint:", "pragma:", "fmt:", "mypy:")

Judge = Callable[[ast.AST], Iterator[tuple[str, str]]]


def function_findings(text: str, skeleton: str, operation: str) -> tuple[Finding, ...]:
    """Why this text may not take the place of the skeleton's function; nothing if it may."""
    tree = _parsed(text)
    if isinstance(tree, Finding):
        return _as_findings([(tree.rule, tree.message)], operation, None)
    found = [*_shape(tree, skeleton), *_content(tree, text, _offered_to_functions)]
    return _as_findings(found, operation, "app/logic.py")


def file_findings(text: str, path: str) -> tuple[Finding, ...]:
    """Why this text may not be a file of extra tests; nothing if it may."""
    tree = _parsed(text)
    if isinstance(tree, Finding):
        return _as_findings([(tree.rule, tree.message)], None, path)
    found = [*_test_shape(tree), *_content(tree, text, _offered_to_tests)]
    return _as_findings(found, None, path)


def _as_findings(
    found: Iterable[tuple[str, str]], operation: str | None, file: str | None
) -> tuple[Finding, ...]:
    return tuple(
        Finding(gate=GATE, rule=rule, message=message, operation=operation, file=file)
        for rule, message in dict.fromkeys(found)
    )


def _parsed(text: str) -> ast.Module | Finding:
    if len(text) > _LARGEST or text.count("\n") > _MOST_LINES:
        message = f"more than {_MOST_LINES} lines or {_LARGEST // 1024} KiB"
        return Finding(gate=GATE, rule="too-large", message=message)
    try:
        return ast.parse(text)
    except SyntaxError as error:
        message = f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        message = str(error) or type(error).__name__
    return Finding(gate=GATE, rule="syntax", message=message)


def _shape(tree: ast.Module, skeleton: str) -> Iterator[tuple[str, str]]:
    """One function with the skeleton's name and signature, after imports, that answers."""
    rest = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    if len(rest) != 1 or not isinstance(rest[0], ast.FunctionDef):
        yield "not-one-function", "write imports, if any, and then exactly one function"
        return
    function, wanted = rest[0], _only_function(skeleton)
    if _signature(function) != _signature(wanted):
        yield "signature", f"the signature must stay `{ast.unparse(_headline(wanted))}`"
    if function.decorator_list:
        yield "decorator", "a function has no decorators"
    if not _answers(function, wanted):
        yield "never-answers", "the function never returns an answer"


def _only_function(skeleton: str) -> ast.FunctionDef:
    return next(n for n in ast.parse(skeleton).body if isinstance(n, ast.FunctionDef))


def _signature(function: ast.FunctionDef) -> tuple[str, str, str]:
    returns = ast.dump(function.returns) if function.returns else ""
    return function.name, ast.dump(function.args), returns


def _headline(function: ast.FunctionDef) -> ast.FunctionDef:
    ellipsis = ast.Expr(value=ast.Constant(value=...))
    head = ast.FunctionDef(
        name=function.name,
        args=function.args,
        body=[ellipsis],
        decorator_list=[],
        returns=function.returns,
    )
    return ast.fix_missing_locations(head)


def _answers(function: ast.FunctionDef, wanted: ast.FunctionDef) -> bool:
    gives_nothing = isinstance(wanted.returns, ast.Constant) and wanted.returns.value is None
    returned = (n for n in ast.walk(function) if isinstance(n, ast.Return) and n.value)
    return gives_nothing or any(True for _ in returned)


def _test_shape(tree: ast.Module) -> Iterator[tuple[str, str]]:
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.Assign, ast.AnnAssign)
    for node in tree.body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not isinstance(node, kinds) and not is_docstring:
            yield "not-a-test", f"line {node.lineno}: only imports, values and functions"
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if not any(name.startswith("test_") for name in names):
        yield "not-a-test", "there is no function called `test_...`"


def _content(
    tree: ast.Module, text: str, offered: Callable[[str], frozenset[str] | None]
) -> Iterator[tuple[str, str]]:
    modules = _module_names(tree)
    owners = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        yield from _imports(node, offered)
        yield from _names(node, modules, owners)
        yield from _attributes(node, modules, offered)
        yield from _others(node)
    yield from _comments(text)


def _module_names(tree: ast.Module) -> dict[str, str]:
    """The names that stand for modules, with the modules."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    return {(a.asname or a.name).partition(".")[0]: a.name for i in imports for a in i.names}


def _imports(
    node: ast.AST, offered: Callable[[str], frozenset[str] | None]
) -> Iterator[tuple[str, str]]:
    for what, is_offered in _imported(node, offered):
        if not is_offered:
            yield "import", f"line {getattr(node, 'lineno', 0)}: `{what}` may not be imported"


def _imported(
    node: ast.AST, offered: Callable[[str], frozenset[str] | None]
) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            is_known = alias.name in _MODULES or alias.name in _TEST_NAMES
            yield alias.name, is_known and offered(alias.name) is not None
    elif isinstance(node, ast.ImportFrom):
        names = offered(node.module or "") if not node.level else None
        for alias in node.names:
            yield f"{node.module}.{alias.name}", names is not None and alias.name in names


def _names(node: ast.AST, modules: dict[str, str], owners: set[int]) -> Iterator[tuple[str, str]]:
    if not isinstance(node, ast.Name):
        return
    if node.id.startswith("__") or (hasattr(builtins, node.id) and node.id not in _BUILTINS):
        yield "builtin", f"line {node.lineno}: `{node.id}` may not be used"
    if node.id in modules and id(node) not in owners:
        yield "module", f"line {node.lineno}: the module `{node.id}` is not a value"


def _attributes(
    node: ast.AST, modules: dict[str, str], offered: Callable[[str], frozenset[str] | None]
) -> Iterator[tuple[str, str]]:
    if not isinstance(node, ast.Attribute):
        return
    if node.attr.startswith("_"):
        yield "private", f"line {node.lineno}: `.{node.attr}` is private"
    if isinstance(node.value, ast.Name) and node.value.id in modules:
        names = offered(modules[node.value.id]) or frozenset()
        if node.attr not in names:
            yield "import", f"line {node.lineno}: `{ast.unparse(node)}` may not be used"


def _others(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, _FORBIDDEN):
        line = getattr(node, "lineno", 0)
        yield "statement", f"line {line}: {type(node).__name__} is not allowed"
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "__" in node.value:
        yield "private", f"line {node.lineno}: a text may not hold two underscores"
    if isinstance(node, ast.Name) and node.id == "NotImplementedYetError":
        yield "not-implemented", f"line {node.lineno}: implement it, or do not write it"


def _comments(text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        comment = line.partition("#")[2]
        if any(word in comment for word in _SUPPRESSIONS):
            yield "suppression", f"line {number}: a finding may not be suppressed"


def _offered_to_functions(module: str) -> frozenset[str] | None:
    """The names that a function may import from a module; None if the module is not offered."""
    own = {
        "typing": _TYPING,
        "app.errors": _ERRORS,
        "app.models": _Named(r"[A-Z]\w*"),
        "app.repository": _REPOSITORY,
    }
    return own.get(module) or (_public(module) if module in _MODULES else None)


def _offered_to_tests(module: str) -> frozenset[str] | None:
    if module == "tests.examples":
        return _Named(r"Json|make_\w+|[a-z]\w*_body|[A-Z][A-Z0-9_]*")
    return _TEST_NAMES.get(module) or _offered_to_functions(module)


class _Named(frozenset[str]):
    """Every name of a pattern: the linter finds those that do not exist."""

    def __new__(cls, pattern: str) -> Self:
        return super().__new__(cls, {pattern})

    def __contains__(self, name: object) -> bool:
        (pattern,) = self
        return isinstance(name, str) and re.fullmatch(pattern, name) is not None


@cache
def _public(module: str) -> frozenset[str]:
    """A standard module's own names, without the modules that it happens to import."""
    found = importlib.import_module(module)
    names = (name for name in dir(found) if not name.startswith("_"))
    return frozenset(n for n in names if not isinstance(getattr(found, n), types.ModuleType))
