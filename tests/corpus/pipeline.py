"""One SPEC through every phase of a build, as a flow would call them, on this machine.

Everything happens below the settings' home: the release is really installed, tested in the sandbox,
verified, deployed behind the switch and asked for its health; afterwards it is taken down again.
"""

import shutil
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

from build_executor.building import build_release
from build_executor.deployment import Gate, Rollout, deploy, prove
from build_executor.errors import BuildExecutorError, PhaseFailed
from build_executor.files import read_untrusted
from build_executor.generation import generate_code, generate_tests
from build_executor.generators import GENERATORS, Attempt
from build_executor.health import Patience, check_health
from build_executor.models import Check, Release, VerifiedRelease, Workspace
from build_executor.sandbox import open_sandbox
from build_executor.settings import Settings
from build_executor.spec.contract import Contract
from build_executor.targets import open_targets
from build_executor.targets.local import local_supervisor_down
from build_executor.targets.ports import is_free
from build_executor.verification import live_checks, verify_release
from build_executor.workspace import close_workspace, open_workspace

_COMPILER = GENERATORS["compiler"]
_LARGEST_REPORT = 16 * 1024 * 1024
_GONE_SECONDS = 10
_FUZZER = "schemathesis"
_QUICK = Patience(wait_seconds=30, retry_after_seconds=1)


@dataclass(slots=True)
class Outcome:
    """How far a SPEC came, and what each phase counted and took."""

    completed: bool = False
    failed_in: str | None = None
    failure: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    tests_passed: int = 0
    tests: int = 0
    checks_passed: int = 0
    checks: int = 0
    not_asked: int = 0
    fuzzing: list[str] | None = None
    left_behind: int = 0


def emitting_seconds(contract: Contract) -> float:
    """How long the compiler takes to write the service's and the tests' text."""
    started = time.perf_counter()
    _COMPILER.generate_code(contract, Attempt())
    _COMPILER.generate_tests(contract, Attempt())
    return time.perf_counter() - started


def build(contract: Contract, build_id: str, settings: Settings) -> Outcome:
    """Take a contract through all phases; never raises for what a phase refuses."""
    outcome = Outcome()
    contract = _on_a_free_port(contract)
    try:
        _go(contract, build_id, settings, outcome)
        outcome.completed = True
    except BuildExecutorError as error:
        outcome.failure = str(error)
        _count_refused(outcome, error)
    finally:
        _clean_up(build_id, settings, outcome)
    return outcome


def _go(contract: Contract, build_id: str, settings: Settings, outcome: Outcome) -> None:
    sandbox = open_sandbox(settings, trusted=_COMPILER.trusted)
    with _stage(outcome, "generation"):
        workspace = open_workspace(build_id, contract.service, settings)
        generate_code(contract, workspace, _COMPILER, Attempt())
        generate_tests(contract, workspace, _COMPILER, Attempt())
    try:
        with _stage(outcome, "build"):
            release = build_release(workspace, contract, sandbox, settings)
    finally:
        _count_tests(outcome, workspace)
    with _stage(outcome, "verification"):
        verified = verify_release(release, contract, sandbox, settings)
    _count_checks(outcome, verified.checks)
    _go_live(verified, contract, settings, outcome)


def _go_live(
    verified: VerifiedRelease, contract: Contract, settings: Settings, outcome: Outcome
) -> None:
    targets = open_targets("local", settings)
    with _stage(outcome, "deployment"):
        gate = _gate(contract, verified.release)
        deployments = deploy(verified, targets, gate, Rollout(guard_seconds=0))
    with _stage(outcome, "health"):
        check_health(deployments[0], _QUICK)
        prove(deployments, targets)


def _gate(contract: Contract, release: Release) -> Gate:
    return lambda url: live_checks(url, contract, release.id)


def _on_a_free_port(contract: Contract) -> Contract:
    """The SPEC's port may well be taken on the machine that runs the corpus."""
    if contract.port is None or is_free(contract.port):
        return contract
    return contract.model_copy(update={"port": None})


@contextmanager
def _stage(outcome: Outcome, name: str) -> Iterator[None]:
    started = time.perf_counter()
    outcome.failed_in = name
    try:
        yield
    finally:
        outcome.seconds[name] = round(time.perf_counter() - started, 2)
    outcome.failed_in = None


def _count_tests(outcome: Outcome, workspace: Workspace) -> None:
    report = read_untrusted(workspace.path / "reports" / "tests.xml", _LARGEST_REPORT)
    if report is None:
        return
    for suite in ET.fromstring(report).iter("testsuite"):  # noqa: S314 - as small as it is, and ours
        counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors")}
        outcome.tests += counts["tests"]
        outcome.tests_passed += counts["tests"] - counts["failures"] - counts["errors"]


def _count_checks(outcome: Outcome, checks: tuple[Check, ...]) -> None:
    fuzzed = [check for check in checks if check.name.startswith(_FUZZER)]
    if fuzzed:
        outcome.fuzzing = [check.name.removeprefix(f"{_FUZZER}: ") for check in fuzzed[1:]]
    checks = tuple(check for check in checks if check not in fuzzed)
    outcome.checks, outcome.checks_passed = len(checks), sum(check.passed for check in checks)
    outcome.not_asked = sum(check.detail.startswith("not asked") for check in checks)


def _count_refused(outcome: Outcome, error: BuildExecutorError) -> None:
    if outcome.failed_in != "verification" or not isinstance(error, PhaseFailed):
        return
    fuzzed = [finding for finding in error.findings if finding.gate == _FUZZER]
    if fuzzed:
        outcome.fuzzing = [f"{finding.rule}, {finding.operation}" for finding in fuzzed]
    outcome.checks = len(error.findings) - len(fuzzed)


def _clean_up(build_id: str, settings: Settings, outcome: Outcome) -> None:
    """Nothing of the build keeps running, and nothing of it stays on the disk."""
    local_supervisor_down(settings)
    shutil.rmtree(settings.services, ignore_errors=True)
    close_workspace(build_id, settings)
    outcome.left_behind = len(psutil.wait_procs(_processes_of(settings), timeout=_GONE_SECONDS)[1])


def _processes_of(settings: Settings) -> list[psutil.Process]:
    """Whatever still runs with a path below our home in its command line or its environment."""
    home, found = str(settings.build_executor_home), []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if any(home in word for word in words):
            found.append(process)
    return found
