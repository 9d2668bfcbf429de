"""Functions broken on purpose: a test that does not notice proves nothing.

Each way of breaking is plain and whole: the function with all its conditions negated, with all its
writes left out, and so on. What a way does not change is no mutant.
"""

import ast
from collections.abc import Callable, Iterator

_WRITES = frozenset({"add", "replace", "remove", "forget"})
_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OTHER: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
}


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """(the way, the broken function) for each way that changes this function."""
    whole = ast.unparse(ast.parse(source))
    for way, breaker in _WAYS.items():
        broken = ast.unparse(ast.fix_missing_locations(breaker().visit(ast.parse(source))))
        if broken != whole:
            yield way, broken


class _Negated(ast.NodeTransformer):
    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        node.ops = [_OPPOSITE[type(op)]() for op in node.ops]
        return node


class _Calculating(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        node.op = _OTHER.get(type(node.op), type(node.op))()
        return node


class _Counting(ast.NodeTransformer):
    """Numbers are one more than they should be."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return ast.Constant(node.value + 1)
        return node


class _Forgetful(ast.NodeTransformer):
    """What is to be written is not."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        call = node.value
        is_call = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        if is_call and call.func.attr in _WRITES:  # type: ignore[attr-defined]
            return ast.Pass()
        return node


class _Constant(ast.NodeTransformer):
    """What the request says does not matter: its values are taken from an empty one."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id in {"body", "query"}:
            kind = ast.Call(ast.Name("type", ast.Load()), [node], [])
            return ast.Call(kind, [], []) if isinstance(node.ctx, ast.Load) else node
        return node


_WAYS: dict[str, Callable[[], ast.NodeTransformer]] = {
    "negated conditions": _Negated,
    "another calculation": _Calculating,
    "numbers one more": _Counting,
    "nothing written": _Forgetful,
    "constant input": _Constant,
}
