"""Where generated code may run before it is trusted.

Bubblewrap wherever it works. A plain process is allowed for the embedded compiler's code only,
which is made of our own templates; code that a model wrote is refused without a real wall.
"""

import subprocess  # noqa: TID251 - the type of a running process; nothing is started here
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from build_executor.command import Finished
from build_executor.errors import CommandFailed, InvalidSettings
from build_executor.sandbox.bubblewrap import Bubblewrap
from build_executor.sandbox.confinement import Confinement
from build_executor.sandbox.plain import PlainProcess
from build_executor.settings import Settings

__all__ = ["Confinement", "Sandbox", "open_sandbox"]


class Sandbox(Protocol):
    """A place to run a command of generated code, with nothing of ours within its reach."""

    @property
    def name(self) -> str:
        """What a log calls it."""

    @property
    def fit_for_untrusted(self) -> bool:
        """Whether code that nobody here wrote may run in it."""

    def run(self, argv: Sequence[str], confinement: Confinement, *, timeout: float) -> Finished:
        """The command's output; CommandFailed if it fails or takes too long; nothing survives."""

    def start(
        self, argv: Sequence[str], confinement: Confinement, *, log: Path
    ) -> subprocess.Popen[bytes]:
        """The running command, its output in `log`; end it with `command.stop`."""


def open_sandbox(settings: Settings, *, trusted: bool) -> Sandbox:
    """The best sandbox that works here; InvalidSettings if none does for code not `trusted`."""
    bubblewrap = Bubblewrap(settings.bubblewrap)
    try:
        bubblewrap.probe()
    except CommandFailed as reason:
        if trusted:
            return PlainProcess()
        raise InvalidSettings(
            "code that a model wrote runs in bubblewrap only, which does not work here: "
            f"{reason}; install bubblewrap, or unset ANTHROPIC_API_KEY"
        ) from reason
    return bubblewrap
