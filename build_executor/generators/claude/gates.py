"""The gates that a written function has to pass, cheapest first; the first that speaks decides.

Before every run the whole service is made anew from the contract, so nothing that was written can
change what it is judged by. Whatever runs the code runs in the sandbox.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from build_executor.building import EXTRA_TESTS
from build_executor.environment import provide_environment
from build_executor.errors import GenerationFailed
from build_executor.generation import put_in_place
from build_executor.generators.filling import Author, ExtraTest, Filled, Filling, Written
from build_executor.generators.splice import functions_in
from build_executor.models import Finding, Workspace
from build_executor.sandbox import Sandbox
from build_executor.settings import Settings
from build_executor.spec.contract import Contract
from build_executor.trial import Trial
from build_executor.type_check import check_types, is_fault
from build_executor.workspace import pack, unpack

_LOGIC = "app/logic.py"
_TEST_OF = re.compile(r"test_(\w+?)__\w+")
_PLACE = re.compile(r"app/logic\.py:(\d+)")
_SECONDS = 120


class Judge(Protocol):
    """Whoever decides what may stay; every finding names the function it is about, if one is."""

    def judge(self, functions: Mapping[str, str]) -> tuple[Finding, ...]:
        """What speaks against these functions together; nothing if they may stay."""

    def try_tests(
        self, functions: Mapping[str, str], files: Mapping[str, str]
    ) -> tuple[Finding, ...]:
        """What extra tests say of these functions; GenerationFailed if they cannot be put there."""

    def faults_of_tests(
        self, functions: Mapping[str, str], files: Mapping[str, str]
    ) -> tuple[Finding, ...]:
        """What linter and types say against extra tests."""


class Gates:
    """Judges functions of one contract; every finding names the function it is about, if one is."""

    def __init__(
        self, contract: Contract, workspace: Workspace, sandbox: Sandbox, settings: Settings
    ) -> None:
        self._contract, self._sandbox, self._settings = contract, sandbox, settings
        self._folder = workspace.path / "candidate"
        self._candidate = Workspace(
            build_id=workspace.build_id, service=workspace.service, path=self._folder
        )
        self._holes = _holes(contract)

    def judge(self, functions: Mapping[str, str]) -> tuple[Finding, ...]:
        """What the first gate that is not content finds; nothing if all are."""
        try:
            source = self._made(functions, {})
        except GenerationFailed as error:
            return self._attributed(error.findings)
        faults = self._type_faults(source)
        return self._attributed(faults or self._trial(source).run(seconds=_SECONDS).findings)

    def try_tests(
        self, functions: Mapping[str, str], files: Mapping[str, str]
    ) -> tuple[Finding, ...]:
        """What extra tests say of these functions; GenerationFailed if they cannot be put there."""
        source = self._made(functions, files)
        return self._trial(source).run(EXTRA_TESTS, seconds=_SECONDS).findings

    def faults_of_tests(
        self, functions: Mapping[str, str], files: Mapping[str, str]
    ) -> tuple[Finding, ...]:
        """What linter and types say against extra tests."""
        try:
            source = self._made(functions, files)
        except GenerationFailed as error:
            return error.findings
        return self._type_faults(source)

    def _made(self, functions: Mapping[str, str], files: Mapping[str, str]) -> Path:
        """The service with these functions and files, packed and unpacked as a release is."""
        filling = _filling(self._contract, self._holes, functions, files)
        shutil.rmtree(self._candidate.source, ignore_errors=True)
        self._candidate.source.mkdir(parents=True, mode=0o700)
        put_in_place(filling.settled(self._contract), self._candidate, Filled(filling))
        archive = self._folder / "candidate.tar.gz"
        pack(self._candidate.source, archive)
        return unpack(archive, self._folder / "staged")

    def _type_faults(self, source: Path) -> tuple[Finding, ...]:
        environment = self._folder / "environment"
        if not environment.is_dir():  # the compiler's requirements are the same in every run
            provide_environment(source / "requirements.txt", environment, self._settings)
        found = check_types(source, self._folder / "mypy", self._sandbox, self._settings)
        return tuple(finding for finding in found if is_fault(finding))

    def _trial(self, source: Path) -> Trial:
        environment, reports = self._folder / "environment", self._folder / "reports"
        return Trial(source, environment, reports, self._sandbox)

    def _attributed(self, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        logic = self._candidate.source / _LOGIC
        text = logic.read_text() if logic.is_file() else ""
        return tuple(self._with_operation(finding, text) for finding in findings)

    def _with_operation(self, finding: Finding, logic: str) -> Finding:
        name = _function_of(finding, logic)
        if name not in self._holes:
            return finding
        operation, line = self._holes[name]
        return finding.model_copy(update={"operation": operation, "spec_line": line})


def function_of(finding: Finding, contract: Contract) -> str | None:
    """The name of the function that a finding was attributed to."""
    names = {o.label: o.name for o in contract.business}
    return names.get(finding.operation or "")


def _function_of(finding: Finding, logic: str) -> str:
    """By the test's name, by the place in the file, or by the place in a traceback."""
    if test := _TEST_OF.match(finding.rule):
        return test[1]
    line = finding.line if finding.file == _LOGIC else None
    if line is None:
        places = _PLACE.findall(finding.message)
        line = int(places[-1]) if places else None
    return _function_at(logic, line) if line is not None else ""


def _function_at(logic: str, line: int) -> str:
    for name, source in functions_in(logic).items():
        start = logic[: logic.index(source)].count("\n") + 1
        if start <= line <= start + source.count("\n"):
            return name
    return ""


def _holes(contract: Contract) -> dict[str, tuple[str, int]]:
    return {o.name: (o.label, o.spec_line) for o in contract.business}


def _filling(
    contract: Contract,
    holes: Mapping[str, tuple[str, int]],
    functions: Mapping[str, str],
    files: Mapping[str, str],
) -> Filling:
    return Filling(
        contract_digest=contract.digest,
        holes={name: holes[name][0] for name in functions if name in holes},
        written=tuple(
            Written(name=name, text=text, author=Author.CLAUDE, model="?")
            for name, text in functions.items()
        ),
        tests=tuple(ExtraTest(path=path, text=text, kept=True) for path, text in files.items()),
    )
