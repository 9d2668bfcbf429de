"""What follows from the contract stays as it follows, whoever has been at the source meanwhile.

A person may change `app/logic.py`, add tests below `tests/extra/` and change the requirements; all
other files are put back before the source is built, and what was found is said. A contract test
that could be edited would prove nothing.
"""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from build_executor.files import remove_path
from build_executor.models import Finding, Workspace
from build_executor.workspace import source_files

_FREE = ("app/logic.py", "requirements.txt")
_FREE_FOLDER = "tests/extra/"
_log = logging.getLogger(__name__)


def freeze(workspace: Workspace) -> None:
    """Remember the source as it is now, beside it."""
    shutil.rmtree(_folder(workspace), ignore_errors=True)
    shutil.copytree(workspace.source, _folder(workspace))


def restore_frozen(workspace: Workspace) -> tuple[Finding, ...]:
    """Put back what was changed since; one finding a file. Nothing, if nothing was frozen."""
    if not _folder(workspace).is_dir():
        return ()
    findings = (*_put_back(workspace), *_take_away(workspace))
    for finding in findings:
        _log.warning("%s", finding)
    return findings


def _put_back(workspace: Workspace) -> Iterator[Finding]:
    for path in sorted(source_files(_folder(workspace))):
        name = path.relative_to(_folder(workspace)).as_posix()
        target = workspace.source / name
        if name in _FREE or name.startswith(_FREE_FOLDER) or _is_same(target, path):
            continue
        remove_path(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        yield _finding("changed", name, "follows from the contract and was put back")


def _take_away(workspace: Workspace) -> Iterator[Finding]:
    for path in sorted(source_files(workspace.source)):
        name = path.relative_to(workspace.source).as_posix()
        is_free = name in _FREE or name.startswith(_FREE_FOLDER)
        if not is_free and not (_folder(workspace) / name).is_file():
            remove_path(path)
            yield _finding("added", name, "is not part of the service and was taken away")


def _finding(rule: str, name: str, message: str) -> Finding:
    return Finding(gate="frozen", rule=rule, message=f"{name} {message}", file=name)


def _is_same(one: Path, other: Path) -> bool:
    return one.is_file() and not one.is_symlink() and one.read_bytes() == other.read_bytes()


def _folder(workspace: Workspace) -> Path:
    return workspace.path / "frozen"
