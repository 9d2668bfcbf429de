"""A sandbox that runs nothing: it writes the report that the tests of a service would write."""

import subprocess  # noqa: TID251 - the type of a running process; nothing is started here
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from build_executor.command import Finished
from build_executor.errors import CommandFailed
from build_executor.sandbox import Confinement


@dataclass
class FakeSandbox:
    """Every command ends with `exit_code` and `output`, and leaves `report` behind."""

    exit_code: int | None = 0
    output: str = "3 passed in 0.1s"
    report: str = ""
    commands: list[tuple[str, ...]] = field(default_factory=list)
    confinements: list[Confinement] = field(default_factory=list)
    name: str = "fake sandbox"
    fit_for_untrusted: bool = True

    def run(self, argv: Sequence[str], confinement: Confinement, *, timeout: float) -> Finished:
        assert timeout > 0
        self.commands.append(tuple(argv))
        self.confinements.append(confinement)
        for folder in confinement.writable if self.report else ():
            (folder / "tests.xml").write_text(self.report)
        if self.exit_code != 0:
            raise CommandFailed(argv, self.exit_code, self.output)
        return Finished(output=self.output)

    def start(
        self, argv: Sequence[str], confinement: Confinement, *, log: Path
    ) -> subprocess.Popen[bytes]:
        self.confinements.append(confinement)
        raise CommandFailed(argv, 127, f"nothing is started, not even with {log.name}")
