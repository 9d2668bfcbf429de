"""Releases and the switch as systemd units of an unprivileged user on another host."""

from collections.abc import Mapping
from typing import Any

from build_executor.targets.remote_host import RemoteHost
from build_executor.targets.switch_process import forwarder_argv

_STOP_SECONDS = 60.0
_MARGIN_SECONDS = 5.0


class SystemdRuntime:
    """One unit a release; systemd brings it back after a crash and after a reboot."""

    def __init__(self, host: RemoteHost) -> None:
        self._host = host

    def start(self, service: str, release_id: str) -> str:
        """Start the instance, or leave it as it is if it runs."""
        fence = self._host.fence(service)
        answer = self._host.ask("start", service=service, release=release_id, fence=fence)
        return str(answer["address"])

    def address(self, service: str, release_id: str) -> str | None:
        """Where the instance listens on the host; None if it is not kept running."""
        address = self._host.ask("address", service=service, release=release_id)["address"]
        return None if address is None else str(address)

    def complaint(self, service: str, release_id: str) -> str | None:
        """What it said last, if it ended since it was started."""
        complaint = self._host.ask("complaint", service=service, release=release_id)["complaint"]
        return None if complaint is None else str(complaint)

    def log(self, service: str, release_id: str) -> str:
        """The end of what the instance said."""
        return str(self._host.ask("log", service=service, release=release_id)["log"])

    def stop(self, service: str, release_id: str) -> None:
        """End the instance for good."""
        fence = self._host.fence(service)
        self._host.ask(
            "stop", seconds=_STOP_SECONDS, service=service, release=release_id, fence=fence
        )


class SystemdSwitchProcess:
    """The forwarder as a unit; it opens the public ports at the address `bind` of the host."""

    def __init__(self, host: RemoteHost, bind: str) -> None:
        self._host, self._bind = host, bind

    def exists(self) -> bool:
        """Whether it ever had a route."""
        return bool(self._host.ask("switch_exists")["is"])

    def ensure_running(self) -> None:
        """Return when it answers; DeploymentFailed if it does not come up."""
        folder = self._host.root / ".switch"
        state, admin = str(folder / "routes.json"), str(folder / "admin.sock")
        argv = forwarder_argv(self._host.survey.executable, state, admin, self._bind)
        self._host.ask("switch_up", tools=str(self._host.tools), argv=argv)

    def ask(self, command: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Its answer; DeploymentFailed if it has none."""
        answer: dict[str, Any] = self._host.ask(
            "switch_ask",
            seconds=seconds + _MARGIN_SECONDS,
            command=command,
            within=seconds,
        )["answer"]
        return answer


class RemotePorts:
    """The public ports of a host's services, which are opened at the address `bind`."""

    def __init__(self, host: RemoteHost, bind: str) -> None:
        self._host, self._bind = host, bind

    def reserve(self, service: str, wanted: int | None, routed: Mapping[str, int]) -> int:
        """The service's public port: the wanted one, or one allocated once and kept."""
        answer = self._host.ask(
            "reserve", service=service, wanted=wanted, routed=dict(routed), host=self._bind
        )
        return int(answer["port"])
