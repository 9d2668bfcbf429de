"""Phases 1 and 2: a generator writes, the cheap gates judge, and only then files are kept.

Whoever writes the code, it lands here first: names from an allow-list of shapes, sizes capped, one
formatter for all, and the gates that need nothing installed (parse, ruff). The dear ones (types,
tests, a running copy) belong to the phases that follow.
"""

import ast
import json
import re
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from build_executor import command
from build_executor.errors import CommandFailed, GenerationFailed
from build_executor.events import report_progress
from build_executor.files import remove_path, write_atomically
from build_executor.generators.protocol import Attempt, Generator
from build_executor.models import Finding, Workspace
from build_executor.phases import Phase
from build_executor.spec.contract import Contract

_MOST_FILES = 200
_LARGEST_FILE = 512 * 1024
_LARGEST_TREE = 4 * 1024 * 1024
_RUFF_SECONDS = 60
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,80}")
_ROOT_FILES = frozenset(
    {
        ".dockerignore",
        ".env.example",
        ".gitignore",
        "Dockerfile",
        "GAPS.md",
        "README.md",
        "pytest.ini",
        "requirements.txt",
    }
)
_FOLDERS = frozenset({"app", "tests"})
_NEEDED = ("app/main.py", "app/models.py", "app/config.py", "requirements.txt")
_RULES = "E,F,I,B,UP,S,ASYNC"
_IGNORED = "E501,S101,B008"
_TESTS_MAY = "S105,S106,S311"


def generate_code(
    contract: Contract, workspace: Workspace, generator: Generator, attempt: Attempt
) -> Workspace:
    """Write the service and the contract; GenerationFailed with findings if a gate rejects it."""
    report_progress(Phase.CODE_GENERATION, 10, f"derived {len(contract.operations)} operations")
    files = generator.generate_code(contract, attempt)
    _refuse_names(files, forbidden="tests")
    _refuse_missing(files)
    _clear(workspace.source, ("app", *_ROOT_FILES))
    write_atomically(workspace.contract_file, _contract_json(contract))
    for percent, group in _groups(files):
        _write(workspace.source, group)
        report_progress(Phase.CODE_GENERATION, percent, f"generated {_listed(group)}")
    _judge(workspace.source, files, "app")
    report_progress(Phase.CODE_GENERATION, 100, f"{len(files)} files passed the first gates")
    return workspace


def generate_tests(
    contract: Contract, workspace: Workspace, generator: Generator, attempt: Attempt
) -> Workspace:
    """Write the tests anew, replacing all there are; GenerationFailed if a gate rejects them."""
    files = generator.generate_tests(contract, attempt)
    _refuse_names(files, forbidden="app")
    _clear(workspace.source, ("tests",))
    _write(workspace.source, files)
    report_progress(Phase.TEST_GENERATION, 60, f"generated {_listed(files)}")
    _judge(workspace.source, files, "tests")
    report_progress(Phase.TEST_GENERATION, 100, f"{len(files)} test files passed the first gates")
    return workspace


def put_in_place(contract: Contract, workspace: Workspace, generator: Generator) -> None:
    """Code and tests at once and anew, past the same gates; nobody is told how far it is."""
    code = generator.generate_code(contract, Attempt())
    tests = generator.generate_tests(contract, Attempt())
    _refuse_names(code, forbidden="tests")
    _refuse_names(tests, forbidden="app")
    _clear(workspace.source, ("app", "tests", *_ROOT_FILES))
    write_atomically(workspace.contract_file, _contract_json(contract))
    _write(workspace.source, {**code, **tests})
    _judge(workspace.source, code, "app")
    _judge(workspace.source, tests, "tests")


def _contract_json(contract: Contract) -> bytes:
    return contract.model_dump_json(indent=2).encode("utf-8", "surrogatepass")


def _listed(files: Mapping[str, str]) -> str:
    names = [name for name in files if files[name]]
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"  # noqa: PLR2004 - a line's width


def _groups(files: Mapping[str, str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The files in the order in which people want to hear of them, with the progress after each."""
    core = {n: t for n, t in files.items() if re.fullmatch(r"app/(main|models)\.py", n)}
    app = {n: t for n, t in files.items() if n.startswith("app/") and n not in core}
    rest = {n: t for n, t in files.items() if not n.startswith("app/")}
    for percent, group in ((35, core), (60, app), (75, rest)):
        if group:
            yield percent, group


def _refuse_names(files: Mapping[str, str], *, forbidden: str) -> None:
    findings = [finding for name in files if (finding := _name_finding(name, forbidden))]
    findings.extend(_size_findings(files))
    if findings:
        raise GenerationFailed("the generator wrote files that are not allowed", findings)


def _name_finding(name: str, forbidden: str) -> Finding | None:
    parts = PurePosixPath(name).parts
    plain = all(_NAME.fullmatch(part) and part not in {".", ".."} for part in parts)
    allowed = name in _ROOT_FILES or (len(parts) > 1 and parts[0] in _FOLDERS)
    if plain and allowed and "/".join(parts) == name and parts[0] != forbidden:
        return None
    return Finding(gate="names", rule="not-allowed", message=f"not an allowed file: {name[:100]!r}")


def _size_findings(files: Mapping[str, str]) -> Iterator[Finding]:
    sizes = {name: len(text.encode("utf-8", "surrogatepass")) for name, text in files.items()}
    if len(files) > _MOST_FILES or sum(sizes.values()) > _LARGEST_TREE:
        yield Finding(gate="names", rule="too-much", message="more than 200 files or 4 MiB")
    for name, size in sizes.items():
        if size > _LARGEST_FILE:
            message = f"larger than 512 KiB: {name}"
            yield Finding(gate="names", rule="too-large", message=message, file=name)


def _refuse_missing(files: Mapping[str, str]) -> None:
    findings = [
        Finding(gate="names", rule="missing", message=f"{name} is missing", file=name)
        for name in _NEEDED
        if name not in files
    ]
    if findings:
        raise GenerationFailed("the service is not complete", findings)


def _clear(source: Path, names: Iterable[str]) -> None:
    """Forget what an earlier attempt wrote, so that the result does not depend on it."""
    for name in names:
        remove_path(source / name)


def _write(source: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        write_atomically(source / name, text.encode("utf-8", "surrogatepass"), mode=0o644)


def _judge(source: Path, files: Mapping[str, str], folder: str) -> None:
    python = [name for name in files if name.endswith(".py")]
    findings = [finding for name in python if (finding := _parse_finding(name, files[name]))]
    if findings:
        raise GenerationFailed("the code is not Python", findings)
    _format(source, folder)
    faults = _ruff_findings(source, folder)
    if faults:
        raise GenerationFailed(f"ruff found {len(faults)} faults", faults)


def _parse_finding(name: str, text: str) -> Finding | None:
    try:
        ast.parse(text, filename=name)
    except SyntaxError as error:
        message, line = error.msg, error.lineno
    except (ValueError, RecursionError, MemoryError) as error:
        message, line = str(error) or type(error).__name__, None
    else:
        return None
    return Finding(gate="parse", rule="syntax", message=message, file=name, line=line)


def _format(source: Path, folder: str) -> None:
    """Sorted imports, none unused, one layout: whoever wrote it."""
    _ruff(source, "check", "--fix-only", "--select", "F401,I", "--exit-zero", folder)
    _ruff(source, "format", folder)


def _ruff(source: Path, *arguments: str) -> str:
    ruff = Path(sysconfig.get_path("scripts")) / "ruff"
    argv = [str(ruff), arguments[0], "--isolated", "--no-cache", "--quiet", *arguments[1:]]
    argv += ["--line-length", "100"]
    return command.run(argv, timeout=_RUFF_SECONDS, cwd=source).output


def _ruff_findings(source: Path, folder: str) -> Sequence[Finding]:
    ignored = f"{_IGNORED},{_TESTS_MAY}" if folder == "tests" else _IGNORED
    options = ("--select", _RULES, "--ignore", ignored, "--output-format", "json", "--exit-zero")
    try:
        faults = json.loads(_ruff(source, "check", *options, folder))
    except CommandFailed as error:
        return [Finding(gate="ruff", rule="failed", message=str(error))]
    return [
        Finding(
            gate="ruff",
            rule=fault["code"] or "syntax",
            message=fault["message"],
            file=Path(fault["filename"]).relative_to(source.resolve()).as_posix(),
            line=fault["location"]["row"],
        )
        for fault in faults
    ]
