"""The ports of this machine, as a target asks for them."""

from collections.abc import Collection, Mapping
from pathlib import Path

from build_executor import ports
from build_executor.errors import DeploymentFailed
from build_executor.ports import is_free

__all__ = ["PortBook", "is_free", "private_port"]


def private_port(taken: Collection[int]) -> int:
    """A free port for an instance; none of `taken`, where instances may be about to start."""
    try:
        return ports.private_port(taken)
    except ports.NoPort as error:
        raise DeploymentFailed(str(error)) from error


class PortBook:
    """The public ports of this machine's services, in one file."""

    def __init__(self, file: Path) -> None:
        self._book = ports.PortBook(file)

    def reserve(self, service: str, wanted: int | None, routed: Mapping[str, int]) -> int:
        """The service's public port: the wanted one, or one allocated once and kept.

        `routed` are the ports that the switch serves now, by service. DeploymentFailed naming the
        port if it belongs to another service or to a foreign process.
        """
        try:
            return self._book.reserve(service, wanted, routed)
        except ports.NoPort as error:
            raise DeploymentFailed(str(error)) from error
