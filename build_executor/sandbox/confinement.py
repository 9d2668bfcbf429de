"""What a command in a sandbox may see and use."""

import math
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from build_executor.models import Value

_MIB = 1024 * 1024


class Confinement(Value):
    """The folders, variables and network of one command; whatever is not named is not there."""

    workdir: Path = Field(description="where it starts; readable")
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = Field(default=(), description="folders, made for this command")
    environment: Mapping[str, str] = Field(default_factory=dict)
    host_network: bool = Field(
        default=False, description="False: a loopback of its own, and nothing else"
    )


class Limits(Value):
    """What one command may use; each is enforced by the kernel."""

    memory_bytes: int = 4096 * _MIB
    file_bytes: int = 100 * _MIB
    open_files: int = 512
    processes: int = 256
    cpu_seconds: int = 600

    def within(self, seconds: float) -> "Limits":
        """These limits for a command that may run `seconds`, on two processors."""
        return self.model_copy(update={"cpu_seconds": 2 * math.ceil(seconds)})
