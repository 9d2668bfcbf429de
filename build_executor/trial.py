"""A service's tests, run by pytest in the sandbox, and what its report says went wrong."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from build_executor.errors import CommandFailed
from build_executor.files import read_untrusted
from build_executor.models import Finding
from build_executor.sandbox import Confinement, Sandbox

SECONDS = 240
_LARGEST_REPORT = 16 * 1024 * 1024
_MOST_FINDINGS = 30
_NO_TESTS = 5  # pytest's exit code
_IN_LOGIC = re.compile(r"app/logic\.py:(\d+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run printed, and one finding a test that failed; none if all passed."""

    output: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """Runs the tests of an unpacked source with the packages of an environment."""

    source: Path
    environment: Path
    reports: Path
    sandbox: Sandbox

    def run(self, *paths: str, seconds: float = SECONDS) -> Outcome:
        """How these test files and folders fared; by default all there are."""
        self.reports.mkdir(exist_ok=True)
        report = self.reports / "tests.xml"
        report.unlink(missing_ok=True)
        confinement = Confinement(
            workdir=self.source,
            readable=(self.environment,),
            writable=(self.reports,),
            environment={"PYTHONDONTWRITEBYTECODE": "1", "DATA_DIR": str(self.reports)},
        )
        python = str(self.environment / "bin" / "python")
        options = ("-q", "-p", "no:cacheprovider", "--tb=short", f"--junitxml={report}")
        argv = (python, "-m", "pytest", *options, *paths)
        try:
            output = self.sandbox.run(argv, confinement, timeout=seconds).output
        except CommandFailed as error:
            return Outcome(error.output, findings_of_tests(report, error))
        return Outcome(output)


def findings_of_tests(report: Path, error: CommandFailed) -> tuple[Finding, ...]:
    """What pytest's machine-readable report says went wrong; the output's tail if there is none."""
    cases = _failed_cases(report)
    if cases:
        return tuple(cases[:_MOST_FINDINGS])
    rule = "no-tests" if error.exit_code == _NO_TESTS else "failed"
    return (Finding(gate="pytest", rule=rule, message=str(error)),)


def _failed_cases(report: Path) -> list[Finding]:
    content = read_untrusted(report, _LARGEST_REPORT)
    try:
        tree = ET.fromstring(content or b"")  # noqa: S314 - expat >= 2.4.1 stops entity expansion
    except ET.ParseError:
        return []
    return [
        Finding(
            gate="pytest",
            rule=case.get("name", "?"),
            message=_reason(problem),
            file=f"{case.get('classname', '?').replace('.', '/')}.py",
        )
        for case in tree.iter("testcase")
        for problem in (*case.iter("failure"), *case.iter("error"))
    ]


def _reason(problem: ET.Element) -> str:
    """The message and the last lines of the traceback: what the next attempt needs to know."""
    lines = [line for line in (problem.text or "").splitlines() if line.strip()]
    place = _place(lines)
    return " / ".join([problem.get("message", "")[:300], *place, *lines[-4:]])[:1000]


def _place(lines: Sequence[str]) -> list[str]:
    """The last line of the traceback that lies in the service's own functions."""
    found = [line for line in lines[:-4] if _IN_LOGIC.search(line)]
    return found[-1:]
