import sys
from pathlib import Path

import pytest

from build_executor import command
from build_executor.errors import CommandFailed, InvalidSettings
from build_executor.sandbox import Confinement, Sandbox, open_sandbox
from build_executor.sandbox.bubblewrap import Bubblewrap, inner_argv, outer_argv, system_links
from build_executor.sandbox.confinement import Limits
from build_executor.sandbox.plain import PlainProcess
from build_executor.settings import Settings

OPEN_DOOR = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


@pytest.fixture
def open_door(tmp_path: Path) -> str:
    """A program that takes bwrap's arguments and confines nothing."""
    program = tmp_path / "open-door"
    program.write_text(OPEN_DOOR)
    program.chmod(0o755)
    return str(program)


@pytest.fixture(params=["plain process", "bubblewrap"])
def sandbox(request: pytest.FixtureRequest, open_door: str) -> Sandbox:
    if request.param == "plain process":
        return PlainProcess()
    return Bubblewrap(open_door, as_root=False)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-c", code)


def test_it_runs_a_command_with_the_environment_it_was_given(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary")
    confinement = Confinement(workdir=tmp_path)

    finished = sandbox.run(python("import os; print(dict(os.environ))"), confinement, timeout=20)

    assert "PATH" in finished.output
    assert "canary" not in finished.output


def test_a_command_that_fails_says_so(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="exited with 3: no"):
        sandbox.run(
            python("import sys; print('no'); sys.exit(3)"),
            Confinement(workdir=tmp_path),
            timeout=20,
        )


def test_files_are_limited(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed):
        sandbox.run(
            python(f"open({str(tmp_path / 'large')!r}, 'wb').truncate(200_000_000)"),
            Confinement(workdir=tmp_path),
            timeout=20,
        )


def test_a_started_command_can_be_stopped(sandbox: Sandbox, tmp_path: Path) -> None:
    confinement = Confinement(workdir=tmp_path, environment={"NAME": "staged"})
    log = tmp_path / "log"

    process = sandbox.start(("/bin/sh", "-c", "exec sleep 60"), confinement, log=log)
    command.stop(process)

    assert process.returncode is not None


def test_the_best_sandbox_is_taken_if_it_works() -> None:
    settings = Settings(bubblewrap="true")  # whatever it is asked, it works

    sandbox = open_sandbox(settings, trusted=False)

    assert (sandbox.name, sandbox.fit_for_untrusted) == ("bubblewrap", True)


def test_our_own_code_may_run_without_a_wall() -> None:
    sandbox = open_sandbox(Settings(bubblewrap="/no/such/program"), trusted=True)

    assert (sandbox.name, sandbox.fit_for_untrusted) == ("plain process", False)


def test_a_models_code_may_not() -> None:
    with pytest.raises(InvalidSettings, match="install bubblewrap, or unset ANTHROPIC_API_KEY"):
        open_sandbox(Settings(bubblewrap="/no/such/program"), trusted=False)


def test_root_becomes_another_user_and_owns_what_may_be_written(tmp_path: Path) -> None:
    confinement = Confinement(workdir=tmp_path, writable=(tmp_path,), host_network=True)

    argv = outer_argv("bwrap", confinement)

    assert argv[-2:] == ("--clear-groups", "--")
    assert argv[argv.index("--bind", argv.index("/proc") + 2) + 1] == str(tmp_path)


def test_root_gives_writable_folders_to_that_user(tmp_path: Path) -> None:
    """It cannot be looked up in a test without root, only that it is tried."""
    missing = Confinement(workdir=tmp_path, writable=(tmp_path / "missing",))

    with pytest.raises(FileNotFoundError):
        Bubblewrap(as_root=True).run(("true",), missing, timeout=5)


@pytest.mark.parametrize(("host_network", "shared"), [(True, True), (False, False)])
def test_the_network_is_shared_only_if_asked_for(
    tmp_path: Path, *, host_network: bool, shared: bool
) -> None:
    confinement = Confinement(workdir=tmp_path, host_network=host_network)

    assert ("--share-net" in inner_argv("bwrap", confinement, Limits())) is shared


def test_a_folder_below_usr_needs_no_new_parents() -> None:
    argv = inner_argv("bwrap", Confinement(workdir=Path("/usr/local/x/y")), Limits())

    assert "/usr/local/x" not in argv


def test_a_writable_folder_below_usr_is_bound_where_it_is() -> None:
    place = Path("/usr/local/x/y")
    confinement = Confinement(workdir=place, writable=(place,))

    argv = inner_argv("bwrap", confinement, Limits())

    assert argv.count("/usr/local/x") == 0
    assert argv[argv.index("--bind") + 1] == str(place)


def test_folders_beside_usr_are_shown_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "bin").symlink_to("usr/bin")
    paths = [str(tmp_path / name) for name in ("bin", "lib", "lib32")]

    words = list(system_links(paths))

    assert words == ["--symlink", "usr/bin", paths[0], "--ro-bind", paths[1], paths[1]]
