"""Which tests run on one worker, where several workers run tests side by side.

Files that need the same server share a worker, so that it is started once; two Docker engines on
one machine would also be in each other's way. Such files begin first: the rest fills the gaps.
"""

from fnmatch import fnmatch

from xdist.scheduler import LoadScopeScheduling

_TARGETS, _STACK = "tests/build_executor/targets", "tests/end_to_end"
_SHARED = {
    "a Docker engine": (
        f"{_TARGETS}/test_switches.py",
        *(f"{_TARGETS}/test_docker*", f"{_TARGETS}/test_production*", f"{_TARGETS}/test_target.py"),
        *(f"{_TARGETS}/test_ssh_shell.py", f"{_TARGETS}/test_full_disk.py"),
        *(f"{_STACK}/test_docker.py", f"{_STACK}/test_production.py"),
    ),
    "a stack": tuple(
        f"{_STACK}/test_{name}.py" for name in ("builds", "going_back", "hand_edits", "schedules")
    ),
    "a Prefect server": ("tests/api/live/*", "tests/flows/*"),
    "nothing, but they are long": (f"{_STACK}/*",),
}


class FilesTogether(LoadScopeScheduling):  # type: ignore[misc]  # untyped
    """Gives a worker all tests of a file, and of the files that share something with it."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        shared = shared_by(file)
        return file if shared.startswith("nothing") else shared


def turn(nodeid: str) -> int:
    """When the test's file is given to a worker: the lower the earlier."""
    return [*_SHARED, "nothing"].index(shared_by(nodeid.partition("::")[0]))


def shared_by(file: str) -> str:
    """What the tests of the file have in common with those of others."""
    found = (name for name, files in _SHARED.items() if any(fnmatch(file, one) for one in files))
    return next(found, "nothing")
