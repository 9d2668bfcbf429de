"""A model that writes whatever function it is asked for, from its signature alone.

What it writes has the right types and depends on what it is told, and means nothing: it shows that
the loop gets a service of any SPEC from its holes to none, not that anybody understood the SPEC.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

from tests.messages_rules import Json, text_of
from tests.messages_server import Behaviour, writes

_DATA = r'<data kind="{kind}" mark="\w+">\n(.*?)\n</data mark='
_MODELS = re.compile(_DATA.format(kind=re.escape("app/models.py")), re.DOTALL)
_LOGIC = re.compile(_DATA.format(kind=re.escape("app/logic.py")), re.DOTALL)
_SKELETONS = re.compile(_DATA.format(kind="skeleton"), re.DOTALL)
_PLAIN = {
    "StrictInt": "len(told)",
    "int": "len(told)",
    "StrictFloat": "float(len(told))",
    "float": "float(len(told))",
    "StrictBool": "True",
    "bool": "True",
    "datetime": "timestamp()",
    "DateTime": "timestamp()",
    "Date": "timestamp()[:10]",
    "Email": '"nobody@example.org"',
    "Identifier": "new_id()",
    "Uri": '"https://example.org/"',
    "UUID": "new_id()",
    "Any": "told",
    "str": "told",
}


def diligent(body: Json) -> Behaviour:
    """One function for each skeleton in the task."""
    stable = text_of(body["system"])
    models, look_ups = _models(stable), _look_ups(stable)
    task = text_of(body["messages"][0])
    functions = [_only_function(found) for found in _SKELETONS.findall(task)]
    return writes(
        {function.name: Author(models, look_ups, function).text() for function in functions}
    )


def _models(text: str) -> dict[str, ast.ClassDef]:
    found = _MODELS.search(text)
    tree = ast.parse(found[1] if found else "")
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _look_ups(text: str) -> dict[str, str]:
    """How the functions that are there look up the record that a parameter names."""
    found = _LOGIC.search(text)
    calls = (node for node in ast.walk(ast.parse(found[1] if found else "")) if _requires(node))
    return {ast.unparse(call.args[1]): ast.unparse(call) for call in calls}


def _requires(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "repository.require"


def _only_function(source: str) -> ast.FunctionDef:
    return next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))


@dataclass(frozen=True)
class Author:
    """Writes one function."""

    models: dict[str, ast.ClassDef]
    look_ups: dict[str, str]
    function: ast.FunctionDef

    def text(self) -> str:
        """The function, whole."""
        head = ast.unparse(self.function.args)
        returns = self.function.returns
        wanted = ast.unparse(returns) if returns else "None"
        answer = self._answer(wanted)
        lines = [f"def {self.function.name}({head}) -> {wanted}:", '    """Answer."""']
        lines += [f"    {self.look_ups[name]}" for name in self._names if name in self.look_ups]
        lines += self._told() if "told" in answer else []
        return "\n".join([*lines, f"    return {answer}", ""])

    @property
    def _names(self) -> set[str]:
        """The parameters of the path."""
        given = self.function.args.args[1:]
        return {one.arg for one in given if ast.unparse(one.annotation or one) == "str"}

    def _told(self) -> Iterator[str]:
        """All that was sent, as one text."""
        yield "    sent: dict[str, Any] = {}"
        for argument in self.function.args.args[1:]:
            if ast.unparse(argument.annotation or argument) in self.models:
                yield f'    sent.update({argument.arg}.model_dump(mode="json"))'
            else:
                yield f'    sent["{argument.arg}"] = {argument.arg}'
        yield "    told = str(sorted(sent.items(), key=str))"

    def _answer(self, wanted: str) -> str:
        value = self._value(ast.parse(wanted, mode="eval").body)
        return f"{wanted}.model_validate({value})" if wanted in self.models else value

    def _value(self, kind: ast.expr) -> str:
        """Code of a value of this type."""
        match kind:
            case ast.Name(id=known) if known in self.models:
                return "{" + ", ".join(self._fields(self.models[known])) + "}"
            case ast.Name(id=known):
                return _PLAIN.get(known, "told")
            case ast.BinOp(left=left):
                return self._value(left)
            case ast.Subscript(value=ast.Name(id=container), slice=inner):
                return self._contained(container, inner)
            case _:
                return "None"

    def _contained(self, container: str, inner: ast.expr) -> str:
        first = inner.elts[0] if isinstance(inner, ast.Tuple) else inner
        match container:
            case "Literal":
                return ast.unparse(first)
            case "Annotated":
                return self._value(first)
            case "list":
                return f"[{self._value(inner)}]"
            case _:
                return '{"told": told}'

    def _fields(self, model: ast.ClassDef) -> Iterator[str]:
        for node in model.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name = node.target.id
                value = name if name in self._names else self._value(node.annotation)
                yield f'"{name}": {value}'
