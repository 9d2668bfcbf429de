"""A generated source becomes a release: dependencies, linter, archive, types, tests.

The archive is made before types and tests, and these look at what was unpacked from it, so the
bytes that were tested are the bytes that are deployed.
"""

import json
import logging
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from build_executor import artifacts, command
from build_executor.allowed_packages import missing_requirements
from build_executor.artifacts import ArtifactStore
from build_executor.environment import lock_requirements, provide_environment
from build_executor.errors import BuildFailed, CommandFailed
from build_executor.events import report_progress
from build_executor.files import read_untrusted
from build_executor.models import Finding, Release, Workspace
from build_executor.phases import Phase
from build_executor.sandbox import Sandbox
from build_executor.settings import Settings
from build_executor.spec.contract import Contract
from build_executor.trial import Trial
from build_executor.type_check import check_types, is_fault
from build_executor.workspace import pack, unpack

EXTRA_TESTS = "tests/extra"
_LINT_SECONDS = 60
_LARGEST_REPORT = 16 * 1024 * 1024
_MOST_FINDINGS = 30
_RULES = "E9,F,B,ASYNC"  # what is wrong, not what is ugly
_IGNORED_RULES = "B008"  # FastAPI's Depends() is meant to be called in a default

_log = logging.getLogger(__name__)


def build_release(
    workspace: Workspace, contract: Contract, sandbox: Sandbox, settings: Settings
) -> Release:
    """The release that the workspace's source makes; BuildFailed with findings if it makes none."""
    journal: list[str] = []
    try:
        return _build(workspace, contract, sandbox, settings, journal)
    finally:
        text = "\n".join(journal).encode("utf-8", "replace")
        ArtifactStore(settings.artifacts).write(workspace.build_id, artifacts.BUILD_LOG, text)


def fix_build(workspace: Workspace, findings: Sequence[Finding], settings: Settings) -> bool:
    """Repair what a machine can: ruff's safe fixes, the lock, an allowed package that is missing.

    Whether anything changed, so that another try makes sense.
    """
    draft = workspace.path / "fixing.tar.gz"
    before = pack(workspace.source, draft)
    _ruff("check", "--fix-only", "--exit-zero", folder=workspace.source)
    _add_missing(workspace, findings, settings)
    if any(finding.rule == "unlocked" for finding in findings):
        _lock(workspace, settings)
    changed = pack(workspace.source, draft) != before
    draft.unlink()
    return changed


def _build(
    workspace: Workspace,
    contract: Contract,
    sandbox: Sandbox,
    settings: Settings,
    journal: list[str],
) -> Release:
    _check_style(workspace, journal)
    report_progress(Phase.BUILD, 10, "checked the source with ruff")
    environment = workspace.path / "environment"
    requirements = workspace.source / "requirements.txt"
    journal.append(provide_environment(requirements, environment, settings))
    report_progress(Phase.BUILD, 40, "installed the locked dependencies")
    archive = ArtifactStore(settings.artifacts).path(workspace.build_id, artifacts.RELEASE_ARCHIVE)
    digest = pack(workspace.source, archive)
    staged = unpack(archive, workspace.path / "staged")
    _check_types(staged, workspace, sandbox, settings, journal)
    _test(staged, workspace, sandbox, journal)
    release = Release(
        id=f"{contract.version}-{digest[:12]}",
        build_id=workspace.build_id,
        service=contract.service,
        version=contract.version,
        port=contract.port,
        archive=archive,
        digest=digest,
        contract_file=workspace.contract_file,
        environment=environment,
    )
    report_progress(Phase.BUILD, 100, f"packed release {release.id}")
    return release


def _add_missing(workspace: Workspace, findings: Sequence[Finding], settings: Settings) -> None:
    """Require and lock the packages that the list allows; what cannot be locked is not required."""
    file = workspace.source / "requirements.txt"
    text = file.read_text() if file.is_file() else ""
    missing = missing_requirements(findings, text)
    if not missing:
        return
    file.write_text("\n".join([text.rstrip("\n"), *missing]) + "\n")
    if _lock(workspace, settings):
        _log.info("added to the requirements: %s", ", ".join(missing))
    else:
        file.write_text(text)


def _lock(workspace: Workspace, settings: Settings) -> bool:
    try:
        lock_requirements(workspace.source / "requirements.txt", settings)
    except CommandFailed as error:
        _log.warning("the requirements cannot be locked: %s", error)
        return False
    return True


def _check_style(workspace: Workspace, journal: list[str]) -> None:
    report = workspace.path / "ruff.json"
    try:
        _ruff(
            *("check", "--output-format", "json", "--output-file", str(report)),
            folder=workspace.source,
        )
    except CommandFailed as error:
        findings = _ruff_findings(report, workspace.source, error)
        journal.extend(map(str, findings))
        raise BuildFailed(f"ruff found {len(findings)} faults", findings) from error


def _check_types(
    staged: Path, workspace: Workspace, sandbox: Sandbox, settings: Settings, journal: list[str]
) -> None:
    findings = check_types(staged, workspace.path / "mypy", sandbox, settings)
    journal.extend(map(str, findings))
    faults = [finding for finding in findings if is_fault(finding)]
    if faults:
        raise BuildFailed(f"mypy found {len(faults)} faults", faults)
    for finding in findings:
        _log.warning("%s", finding)
    report_progress(Phase.BUILD, 50, "checked the types with mypy")


def _ruff(*arguments: str, folder: Path) -> None:
    """Isolated: a configuration that came with the source must not soften the rules."""
    ruff = Path(sysconfig.get_path("scripts")) / "ruff"
    rules = ("--isolated", "--no-cache", "--select", _RULES, "--ignore", _IGNORED_RULES)
    command.run([str(ruff), *arguments, *rules, "--quiet", "."], timeout=_LINT_SECONDS, cwd=folder)


def _ruff_findings(report: Path, source: Path, error: CommandFailed) -> tuple[Finding, ...]:
    try:
        faults = json.loads(read_untrusted(report, _LARGEST_REPORT) or b"")
    except json.JSONDecodeError:
        return (Finding(gate="ruff", rule="failed", message=str(error)),)
    return tuple(
        Finding(
            gate="ruff",
            rule=fault["code"] or "syntax",
            message=fault["message"],
            file=str(Path(fault["filename"]).relative_to(source)),
            line=fault["location"]["row"],
        )
        for fault in faults[:_MOST_FINDINGS]
    )


def _test(staged: Path, workspace: Workspace, sandbox: Sandbox, journal: list[str]) -> None:
    """Extra tests run by themselves, so that nothing in them can be in the contract's way."""
    trial = Trial(staged, workspace.path / "environment", workspace.path / "reports", sandbox)
    extra = (staged / EXTRA_TESTS).is_dir()
    runs = [(f"--ignore={EXTRA_TESTS}",), (EXTRA_TESTS,)] if extra else [()]
    for paths in runs:
        outcome = trial.run(*paths)
        journal.append(outcome.output)
        if outcome.findings:
            message = f"{len(outcome.findings)} tests failed in {sandbox.name}"
            raise BuildFailed(message, outcome.findings)
        _log.info("%s in %s", _summary(outcome.output), sandbox.name)


def _summary(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return lines[-1].strip("= ") if lines else "no output"
