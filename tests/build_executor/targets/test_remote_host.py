"""What a host has to be, and what is said of one that is not."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pytest

from build_executor.errors import DeployLocked, DeploymentFailed
from build_executor.models import Release
from build_executor.settings import Settings
from build_executor.targets.dependencies import Dependencies, Platform
from build_executor.targets.remote_host import RemoteHost
from build_executor.targets.remote_store import RemoteStore, vendor_from_lock
from build_executor.targets.shell import Said
from build_executor.targets.state import ServiceState
from tests.fakes.production import FakeHeld, FakeShell
from tests.fakes.release import Releases, digest_of, write_archive

GOOD = {
    "python": [3, 11],
    "executable": "/usr/bin/python3",
    "machine": "x86_64",
    "has_tools": True,
    "problem": "",
}


@dataclass
class ToldShell(FakeShell):
    """Says `answers` to its first commands, and in conversations nothing but `line`."""

    answers: list[Said] = field(default_factory=list)
    line: str | None = None

    def run(
        self, argv: tuple[str, ...], *, stdin: tuple[bytes | BinaryIO, ...] = (), timeout: float
    ) -> Said:
        if self.answers:
            return self.answers.pop(0)
        return super().run(argv, stdin=stdin, timeout=timeout)

    @contextlib.contextmanager
    def hold(self, argv: tuple[str, ...], *, stdin: bytes) -> Iterator[FakeHeld]:
        with super().hold(argv, stdin=stdin) as held:
            if self.line is not None:
                lines = iter([self.line, "ValueError: what it died of\n", ""])
                held.line = lambda _: next(lines)  # type: ignore[assignment, method-assign]
            yield held


@pytest.fixture
def root() -> Iterator[PurePosixPath]:
    with tempfile.TemporaryDirectory(prefix="h") as folder:
        yield PurePosixPath(folder)


def surveyed(**differences: object) -> Said:
    return Said(output=json.dumps({**GOOD, **differences}), status=0)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([Said(output="not found", status=127)], "python3 is missing: install Python 3.11"),
        ([Said(output="Segmentation fault", status=139)], "does not work: Segmentation fault"),
        ([surveyed(python=[3, 9])], "python3 is 3.9: 3.11 or newer is needed"),
        (
            [surveyed(problem="Permission denied")],
            "Permission denied: make /.* a folder of the user",
        ),
        (
            [surveyed(has_tools=False), Said(output="No space left on device", status=1)],
            "cannot write to .*: No space left",
        ),
        ([surveyed(has_tools=False), Said(output="", status=2)], "cannot write to .*status 2"),
    ],
)
def test_a_host_that_cannot_be_used_is_told_why(
    root: PurePosixPath, answers: list[Said], reason: str
) -> None:
    host = RemoteHost(ToldShell(answers=answers), root)

    with pytest.raises(DeploymentFailed, match=f"^deploy@fake: .*{reason}"):
        host.ask("services")


def test_our_program_is_put_there_once(root: PurePosixPath) -> None:
    with FakeShell() as shell:
        RemoteHost(shell, root).ask("services")
        program = Path(root) / ".tools"
        (digest,) = program.iterdir()
        stamp = digest.stat().st_mtime_ns

        RemoteHost(shell, root).ask("services")

    assert (digest / "build_executor/on_host/__main__.py").exists()
    assert digest.stat().st_mtime_ns == stamp
    assert list(program.iterdir()) == [digest]


def test_a_host_says_which_packages_it_can_run(root: PurePosixPath) -> None:
    host = RemoteHost(ToldShell(answers=[surveyed(python=[3, 12], machine="aarch64")]), root)

    assert host.platform == Platform(python="3.12", machine="aarch64")


def test_a_program_that_dies_is_told_with_its_last_words(root: PurePosixPath) -> None:
    host = RemoteHost(ToldShell(line="Traceback (most recent call last):\n"), root)

    with pytest.raises(DeploymentFailed, match=r"(?s)failed: Traceback.*what it died of"):
        host.ask("services")


def test_a_lost_conversation_is_named_by_its_question(root: PurePosixPath) -> None:
    host = RemoteHost(ToldShell(line=""), root)

    with pytest.raises(DeploymentFailed, match="the connection was lost during `read`"):
        host.ask("read", service="shop")
    with (
        pytest.raises(DeploymentFailed, match="the connection was lost during `lock`"),
        host.locked("shop", "build", 1),
    ):
        pass


def test_a_stream_that_nobody_answers_is_told(root: PurePosixPath, tmp_path: Path) -> None:
    host = RemoteHost(ToldShell(answers=[surveyed(), Said(output="", status=0)]), root)
    (tmp_path / "file").touch()

    with (
        (tmp_path / "file").open("rb") as stream,
        pytest.raises(DeploymentFailed, match="`install` failed: it said nothing"),
    ):
        host.send("install", stream, seconds=1)


# -- the store


def store_on(shell: FakeShell, root: PurePosixPath, *packages: Dependencies) -> RemoteStore:
    host = RemoteHost(shell, root)
    return RemoteStore(host, lambda *_: packages[0] if packages else None, lock_seconds=0.1)


@pytest.fixture
def release(releases: Releases) -> Release:
    return releases.build("1.0.0").release


def test_packages_are_sent_once_for_all_releases_of_a_lock(
    root: PurePosixPath, tmp_path: Path, releases: Releases
) -> None:
    archive = write_archive(tmp_path / "packages.tar.gz", {"tea/__init__.py": ""})
    packages = Dependencies(
        key="0" * 32, folder=tmp_path, archive=archive, digest=digest_of(archive)
    )
    with FakeShell() as shell:
        store = store_on(shell, root, packages)
        for version in ("1.0.0", "2.0.0"):
            store.install(releases.build(version).release)

    assert shell.did.count("put_packages") == 1
    folders = list((Path(root) / releases.service / "releases").iterdir())
    assert {(folder / ".packages/tea/__init__.py").exists() for folder in folders} == {True}


def test_a_release_that_is_there_is_not_sent_again(root: PurePosixPath, release: Release) -> None:
    with FakeShell() as shell:
        store = store_on(shell, root)
        store.install(release)
        store.install(release)

    assert shell.did.count("install") == 1


def test_the_packages_of_a_release_are_those_of_its_lock(release: Release, tmp_path: Path) -> None:
    vendor = vendor_from_lock(Settings(build_executor_home=tmp_path))

    packages = vendor(release, Platform(python="3.11", machine="x86_64"))

    assert packages is not None
    assert list(packages.folder.iterdir()) == []


def test_a_state_of_another_form_is_named(root: PurePosixPath) -> None:
    (Path(root) / "shop").mkdir()
    (Path(root) / "shop/state.json").write_text('{"fence": 1, "unknown": 2}')
    with FakeShell() as shell, pytest.raises(DeploymentFailed, match="state of shop is damaged"):
        store_on(shell, root).read("shop")


def test_a_lock_that_somebody_else_took_is_lost(root: PurePosixPath) -> None:
    with FakeShell() as shell:
        store, other = store_on(shell, root), store_on(shell, root)
        with store.locked("shop", "late") as ledger:
            shell.held[-1].end()
            with other.locked("shop", "next"):
                pass

            with pytest.raises(DeploymentFailed, match="the deploy lock was lost"):
                ledger.record(ServiceState(service="shop"))


def test_a_state_under_an_old_fence_is_refused(root: PurePosixPath) -> None:
    with FakeShell() as shell:
        store = store_on(shell, root)
        with store.locked("shop", "build") as ledger, pytest.raises(DeployLocked, match="later"):
            ledger.record(ledger.state.model_copy(update={"fence": 0}))

    assert store.folder("shop", "1") == root / "shop/releases/1"
    assert store.shared("shop", "data") == root / "shop/shared/data"
    assert store.services() == ["shop"]
