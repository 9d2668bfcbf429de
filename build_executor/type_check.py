"""The generated code's types, checked by mypy --strict: as a reviewer would, and before any test.

Mypy belongs to this product and reads the code in the sandbox, against the packages that the
release is locked to. What it learns of those packages is kept once per lock, so that a check takes
a second and not ten; each build gets a copy, because a check writes to it.
"""

import json
import logging
import secrets
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from build_executor.environment import prepared_environment, put_environment
from build_executor.errors import CommandFailed
from build_executor.models import Finding
from build_executor.sandbox import Confinement, Sandbox
from build_executor.settings import Settings

_SECONDS = 120
_MOST_FINDINGS = 30
_OPTIONS = ("--strict", "--output", "json", "--no-error-summary", "--config-file=")
_CHECKED = ("app", "tests")
# What is not annotated is a matter of style; what contradicts itself is a fault.
_STYLE = frozenset(
    {"var-annotated", "no-untyped-def", "no-untyped-call", "untyped-decorator", "type-arg"}
    | {"no-any-return", "no-any-unimported", "unused-ignore", "redundant-cast", "import-untyped"}
)
_log = logging.getLogger(__name__)


def check_types(
    source: Path, learned: Path, sandbox: Sandbox, settings: Settings
) -> tuple[Finding, ...]:
    """What mypy finds in a source that the sandbox may read; `learned` is made anew for its notes.

    Empty, with a warning in the log, where mypy cannot run.
    """
    folders = [name for name in _CHECKED if any((source / name).glob("**/*.py"))]
    if not folders:
        return ()
    environment = prepared_environment(source / "requirements.txt", settings)
    kept = settings.cache / "mypy" / f"{environment.name}-{version('mypy')}"
    _copy(kept, learned)
    confinement = Confinement(
        workdir=source, readable=(Path(sys.prefix), environment), writable=(learned,)
    )
    output = _run((*_argv(environment, learned), *folders), confinement, sandbox)
    _keep(learned, kept)
    return findings_in(output)


def is_fault(finding: Finding) -> bool:
    """Whether the finding fails a build; a missing annotation does not."""
    return finding.rule not in _STYLE


def findings_in(output: str) -> tuple[Finding, ...]:
    """The errors of mypy's JSON lines; other lines are left out."""
    found = (_finding(line) for line in output.splitlines() if line.startswith("{"))
    return tuple(finding for finding in found if finding is not None)[:_MOST_FINDINGS]


def _finding(line: str) -> Finding | None:
    try:
        fault = json.loads(line)
    except json.JSONDecodeError:
        return None
    if fault.get("severity") != "error":
        return None
    return Finding(
        gate="mypy",
        rule=fault.get("code") or "error",
        message=str(fault.get("message"))[:500],
        file=fault.get("file"),
        line=fault.get("line"),
    )


def _argv(environment: Path, learned: Path) -> tuple[str, ...]:
    """Isolated: a module of the source must not pass for one of mypy's."""
    python = environment / "bin" / "python"
    where = ("--python-executable", str(python), "--cache-dir", str(learned))
    return (sys.executable, "-I", "-m", "mypy", *_OPTIONS, *where)


def _run(argv: tuple[str, ...], confinement: Confinement, sandbox: Sandbox) -> str:
    try:
        return sandbox.run(argv, confinement, timeout=_SECONDS).output
    except CommandFailed as error:
        if not findings_in(error.output):
            _log.warning("the types are not checked: %s", error)
        return error.output


def _copy(kept: Path, learned: Path) -> None:
    """The sandbox's user must be able to write to it, whoever that is; nobody else gets there."""
    shutil.rmtree(learned, ignore_errors=True)
    if kept.is_dir():
        shutil.copytree(kept, learned, symlinks=True)
    learned.mkdir(exist_ok=True)
    for path in learned.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)


def _keep(learned: Path, kept: Path) -> None:
    """Put a copy to its place if nothing is there: it is complete or absent."""
    if kept.is_dir() or not any(learned.iterdir()):
        return
    draft = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
    shutil.copytree(learned, draft, symlinks=True)
    try:
        put_environment(draft, kept)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
