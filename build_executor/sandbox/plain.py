"""A plain process with a clean environment and limits: no wall, for code of our own templates."""

import resource
import subprocess  # noqa: TID251 - the type of a running process; nothing is started here
from collections.abc import Callable, Sequence
from pathlib import Path

from build_executor import command
from build_executor.command import Finished
from build_executor.sandbox.confinement import Confinement, Limits


class PlainProcess:
    """It can read what this user can read, and reach the network."""

    name = "plain process"
    fit_for_untrusted = False

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def run(self, argv: Sequence[str], confinement: Confinement, *, timeout: float) -> Finished:
        """The command's output; CommandFailed if it fails or takes too long."""
        return command.run(
            argv,
            timeout=timeout,
            cwd=confinement.workdir,
            environment=command.clean_environment(confinement.environment),
            before_exec=_limiter(self._limits.within(timeout)),
        )

    def start(
        self, argv: Sequence[str], confinement: Confinement, *, log: Path
    ) -> subprocess.Popen[bytes]:
        """The running command, its output in `log`."""
        return command.start(
            argv,
            log=log,
            cwd=confinement.workdir,
            environment=command.clean_environment(confinement.environment),
            before_exec=_limiter(self._limits),
        )


def _limiter(limits: Limits) -> Callable[[], None]:
    """RLIMIT_NPROC is left out: it counts all processes of the user, not those of the command."""
    values = {
        resource.RLIMIT_AS: limits.memory_bytes,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_CORE: 0,
    }

    def limit() -> None:  # pragma: no cover - runs in the child, between fork and exec
        for kind, value in values.items():
            _, hard = resource.getrlimit(kind)
            ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (ceiling, ceiling))

    return limit
