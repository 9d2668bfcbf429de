"""A hole: an operation that the compiler cannot write, as the typed skeleton that is to be filled.

The skeletons are cut from what the compiler writes if all holes are there, so their types, models
and routes exist before anybody fills them, and stay when nobody does.
"""

import ast
import re
from collections.abc import Mapping

from pydantic import Field

from build_executor.generators.compiler import Compiler
from build_executor.generators.protocol import Attempt
from build_executor.generators.splice import functions_in
from build_executor.models import Value
from build_executor.spec.contract import Contract, Operation
from build_executor.spec.holes import holes_of, settle

_MOST_LINES = 80
_HEADING = re.compile(r"#{1,6}\s")
_COMPILER = Compiler()


class Hole(Value):
    """What has to be written, and what is said of it."""

    name: str = Field(description="of the operation, and of its function")
    label: str
    spec_line: int
    skeleton: str = Field(description="the function that answers 501 until it is replaced")
    excerpt: str = Field(description="the lines of the SPEC that speak of the operation")

    @property
    def test_path(self) -> str:
        """Where extra tests of the function may be written."""
        return f"tests/extra/test_{self.name}.py"


class Unfilled(Value):
    """A contract's holes, and the frozen code around them."""

    contract: Contract = Field(description="as derived: the holes answer 501")
    holes: tuple[Hole, ...]
    files: Mapping[str, str] = Field(description="what the compiler writes if all holes are filled")


def find_holes(contract: Contract, spec: str) -> Unfilled:
    """The holes of a contract, in the order of the SPEC."""
    operations = holes_of(contract)
    whole = settle(contract, {operation.name: "" for operation in operations})
    files = {
        **_COMPILER.generate_code(whole, Attempt()),
        **_COMPILER.generate_tests(whole, Attempt()),
    }
    functions = functions_in(files["app/logic.py"])
    holes = [
        Hole(
            name=operation.name,
            label=operation.label,
            spec_line=operation.spec_line,
            skeleton=_readable(functions[operation.name]),
            excerpt=excerpt(spec, operation, contract),
        )
        for operation in operations
    ]
    return Unfilled(contract=contract, holes=tuple(holes), files=files)


def excerpt(spec: str, operation: Operation, contract: Contract) -> str:
    """The SPEC from the operation's line to the next operation or heading of the same level."""
    lines = spec.splitlines()
    start = max(operation.spec_line - 1, 0)
    others = {o.spec_line - 1 for o in contract.operations if o.spec_line}
    own_level = _level(lines[start]) if start < len(lines) else 0
    end = start + 1
    while end < len(lines) and end - start < _MOST_LINES and end not in others:
        level = _level(lines[end])
        if level and level <= (own_level or 6):
            break
        end += 1
    return "\n".join(lines[start:end]).strip()


def _level(line: str) -> int:
    found = _HEADING.match(line)
    return len(found[0].strip()) if found else 0


def _readable(source: str) -> str:
    """One statement a line, whatever a template's line was."""
    return ast.unparse(ast.parse(source))
