"""What became of a contract's holes: who wrote what, what was refused, and why.

It is kept beside the workspace's source while a build lasts and left as an artifact afterwards, so
each attempt can run in another process, and people and later phases read the same account.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from pydantic import Field, ValidationError

from build_executor.files import write_atomically
from build_executor.generators.compiler import Compiler
from build_executor.generators.protocol import Attempt, Generator
from build_executor.generators.splice import spliced, with_imports
from build_executor.models import Finding, Usage, Value, Workspace
from build_executor.spec.contract import Contract
from build_executor.spec.holes import settle

FILE = "generation.json"
_LOGIC = "app/logic.py"


class Author(StrEnum):
    """Who wrote a function that the compiler did not."""

    CLAUDE = "claude"
    PERSON = "person"


class Written(Value):
    """A function that passed the gates."""

    name: str
    text: str
    author: Author
    model: str | None = Field(default=None, description="None: no model had a part in it")
    attempt: int | None = Field(default=None, description="None: an earlier build's")

    def __str__(self) -> str:
        """For the reader of the contract."""
        if self.author is Author.PERSON:
            return "written by hand" if self.model is None else f"by {self.model}, edited by hand"
        how = "kept from an earlier build" if self.attempt is None else f"attempt {self.attempt}"
        return f"written by {self.model} ({how}); the contract's tests pass"


class Rejected(Value):
    """A function that did not pass, as it was written last."""

    name: str
    text: str | None = Field(default=None, description="None: nothing was written")
    findings: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        """For the reader of the contract."""
        why = str(self.findings[0])[:300] if self.findings else "nothing was written"
        what = "" if self.text is None else "what was written for it did not pass: "
        return f"not implemented: {what}{why}"


class ExtraTest(Value):
    """A file of tests that somebody added to those of the contract."""

    path: str
    text: str
    kept: bool = False
    reason: str = "not judged yet"
    mutants: int = Field(default=0, description="ways in which its function was broken")
    caught: int = Field(default=0, description="of these, how many made a test fail")

    @property
    def function(self) -> str:
        """The function that the file is about."""
        return Path(self.path).stem.removeprefix("test_")


class AttemptReport(Value):
    """One attempt: what was asked, how the answers ended, what came of it."""

    number: int
    asked: tuple[str, ...]
    outcomes: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    models: tuple[str, ...] = ()
    usage: Usage = Usage()
    dollars: float | None = Field(default=None, description="None: not known")
    seconds: float = 0


class Filling(Value):
    """The account of a build's holes; `ended` says why there is no further attempt."""

    contract_digest: str = Field(description="of the contract as derived from the SPEC")
    holes: Mapping[str, str] = Field(default_factory=dict, description="function -> operation")
    prompts: Mapping[str, int] = Field(default_factory=dict, description="prompt -> version")
    written: tuple[Written, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    helpers: tuple[str, ...] = Field(default=(), description="imports and values of a person")
    tests: tuple[ExtraTest, ...] = ()
    seen: str | None = Field(default=None, description="digest of the file that people edit")
    refused: tuple[Finding, ...] = Field(default=(), description="writes that nobody asked for")
    attempts: tuple[AttemptReport, ...] = ()
    ended: str | None = None

    @property
    def functions(self) -> dict[str, str]:
        """The text of each accepted function."""
        return {written.name: written.text for written in self.written}

    @property
    def open(self) -> tuple[str, ...]:
        """The holes that nobody filled, in the order of the SPEC."""
        return tuple(name for name in self.holes if name not in self.functions)

    @property
    def extra_files(self) -> dict[str, str]:
        """The extra tests that count."""
        return {test.path: test.text for test in self.tests if test.kept}

    @property
    def trusted(self) -> bool:
        """Whether no model wrote any of what is in the service."""
        return not any(written.model for written in self.written) and not self.extra_files

    def settled(self, contract: Contract) -> Contract:
        """The contract that the service can be held to."""
        holes = {w.name: str(w) for w in self.written if w.name in self.holes}
        failed = {r.name: str(r) for r in self.rejected if r.name not in holes}
        return settle(contract, holes, failed)


class Filled:
    """A generator: what the compiler writes, with the functions and tests that others wrote."""

    def __init__(self, filling: Filling, compiler: Generator | None = None) -> None:
        self._filling, self._compiler = filling, compiler or Compiler()

    @property
    def trusted(self) -> bool:
        """Whether its code may run without isolation."""
        return self._filling.trusted and self._compiler.trusted

    def generate_code(self, contract: Contract, attempt: Attempt) -> Mapping[str, str]:
        """The service, its written functions in their places."""
        files = dict(self._compiler.generate_code(contract, attempt))
        if self._filling.functions:
            files[_LOGIC] = spliced(files[_LOGIC], self._filling.functions)
        if self._filling.helpers:
            files[_LOGIC] = with_imports(files[_LOGIC], [*self._filling.helpers])
        return files

    def generate_tests(self, contract: Contract, attempt: Attempt) -> Mapping[str, str]:
        """The contract's tests, and the extra ones that count."""
        files = dict(self._compiler.generate_tests(contract, attempt))
        extra = self._filling.extra_files
        return files | ({"tests/extra/__init__.py": "", **extra} if extra else {})


def read_filling(workspace: Workspace) -> Filling | None:
    """What was kept of the build's holes; None if nothing was."""
    try:
        return Filling.model_validate_json(_path(workspace).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def keep_filling(workspace: Workspace, filling: Filling) -> None:
    """Put it beside the source, where no generated code can reach it."""
    write_atomically(_path(workspace), filling.model_dump_json(indent=2).encode())


def _path(workspace: Workspace) -> Path:
    return workspace.path / FILE
