"""A production host that runs releases, and the switch, in containers.

Its engine is asked through the SSH connection; nothing of it is opened to a network. The releases'
states and locks are files below the host's root folder, as with every other production host.
"""

import json
from hashlib import sha256
from http import HTTPStatus
from pathlib import PurePath
from typing import Any

from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container

from build_executor.errors import DeploymentFailed
from build_executor.settings import Settings
from build_executor.targets.docker_engine import DockerEngine
from build_executor.targets.docker_images import SCOPE
from build_executor.targets.docker_network import INTERFACES
from build_executor.targets.docker_runtime import find_container, hardened
from build_executor.targets.docker_target import Containers, Machine
from build_executor.targets.host import Parts
from build_executor.targets.remote_host import RemoteHost
from build_executor.targets.shell import Shell
from build_executor.targets.switch import EmbeddedSwitch
from build_executor.targets.switch_process import forwarder_argv
from build_executor.targets.systemd import SystemdSwitchProcess

_NAMES = ("switch", "switch-spare")
_SOCKET = "/var/run/docker.sock"
_VERSION = "build-executor.switch"
_SECONDS = 15.0
_TRIES = 4
_CONNECT = """
import socket, sys
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except OSError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""
# Makes a private folder and says whom containers must run as to write there: the user who deploys,
# or nobody, whose the folder becomes, where that is root.
_LEND = """
mkdir -p "$1" && chmod 700 "$1" && user="$(id -u):$(id -g)" || exit 1
if [ "${user%%:*}" = 0 ]; then user=65532:65532; chown -R "$user" "$1"; fi
echo "$user"
"""


def with_containers(parts: Parts, host: RemoteHost, bind: str, settings: Settings) -> Parts:
    """The same host with its next releases in containers, and its switch too."""
    socket = f"unix://{host.shell.reach_socket(_SOCKET)}"
    where = f"on {host.name}: it has ended, or the connection was lost"
    engine = DockerEngine(socket, _Knock(host.shell), where)
    machine = Machine(
        name=host.name,
        instead="PRODUCTION_RUNTIME=systemd",
        lend=lambda folder: _lend(host, folder),
        has_interface=lambda name: _has_interface(host.shell, name),
    )
    containers = Containers(engine, host.root, settings, machine)
    switch = ContainerSwitchProcess(host, bind, containers, settings.docker_base_image)
    return containers.contain(parts)._replace(switch=EmbeddedSwitch(switch))


class ContainerSwitchProcess:
    """The forwarder in a container of the host's network; its table is a file of the host."""

    def __init__(self, host: RemoteHost, bind: str, containers: Containers, image: str) -> None:
        self._host, self._bind = host, bind
        self._containers, self._image = containers, image
        self._files = SystemdSwitchProcess(host, bind)  # the same, whatever runs the process
        self._folder = host.root / ".switch"

    def exists(self) -> bool:
        """Whether it ever had a route."""
        return self._files.exists()

    def ask(self, command: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Its answer; DeploymentFailed if it has none."""
        return self._files.ask(command, seconds)

    def ensure_running(self) -> None:
        """Return when it answers; one that was started by another version of us is replaced.

        A second container waits for the first to die, and is there at once then. A switch that is
        no container, of a time before containers, keeps the public ports.
        """
        words = [str(self._host.tools), *self._argv()]
        version = sha256(json.dumps(words).encode()).hexdigest()[:12]
        with self._containers.engine.client() as client:
            found = {name: find_container(client, self._prefix + name) for name in _NAMES}
            if not any(found.values()) and self.exists() and self._answers():
                return
            for name, container in found.items():
                self._keep(client, name, container, version)
        self._await()

    def _keep(self, client: DockerClient, name: str, found: Container | None, version: str) -> None:
        if found is not None:
            if found.labels.get(_VERSION) == version:
                return
            found.remove(force=True)
        try:
            self._start(client, name, version)
        except APIError as error:
            if error.status_code != HTTPStatus.CONFLICT:  # another deployer started it meanwhile
                raise

    def _start(self, client: DockerClient, name: str, version: str) -> None:
        folder, tools = str(self._folder), str(self._host.tools)
        client.containers.run(
            self._containers.engine.image(self._image).id,
            list(self._argv()),
            entrypoint=[],
            name=self._prefix + name,
            detach=True,
            labels={SCOPE: self._containers.scope, _VERSION: version},
            user=self._containers.lend(self._folder),
            network_mode="host",
            working_dir="/",
            environment={"PYTHONPATH": tools, "PYTHONDONTWRITEBYTECODE": "1"},
            volumes={
                tools: {"bind": tools, "mode": "ro"},
                folder: {"bind": folder, "mode": "rw"},
            },
            **hardened(),
        )

    def _await(self) -> None:
        """Each try waits for seconds until somebody is there to be asked."""
        if not any(self._answers() for _ in range(_TRIES)):
            where = f"`docker logs {self._prefix}{_NAMES[0]}` there says why"
            raise DeploymentFailed(f"{self._host.name}: the switch does not start: {where}")

    def _answers(self) -> bool:
        try:
            return bool(self.ask({"do": "status"}, _SECONDS)["ok"])
        except DeploymentFailed:
            return False

    def _argv(self) -> tuple[str, ...]:
        state, admin = str(self._folder / "routes.json"), str(self._folder / "admin.sock")
        return forwarder_argv("python3", state, admin, self._bind)

    @property
    def _prefix(self) -> str:
        return f"build-executor-{self._containers.scope}-"


class _Knock:
    """Whether the host's engine opens, asked once in words that its operator understands."""

    def __init__(self, shell: Shell) -> None:
        self._shell, self._has_opened = shell, False

    def __call__(self) -> None:
        if self._has_opened:
            return
        argv = ("python3", "-I", "-S", "-c", _CONNECT, _SOCKET)
        said = self._shell.run(argv, timeout=_SECONDS)
        if said.status:
            raise DeploymentFailed(f"{self._shell.name}: {_engine_problem(said.output.strip())}")
        self._has_opened = True


def _engine_problem(said: str) -> str:
    if said.startswith("PermissionError"):
        return "this user may not use the Docker engine there: add it to the group `docker`"
    return f"no Docker engine answers there at {_SOCKET}: start it: {said}"


def _has_interface(shell: Shell, name: str) -> bool:
    return shell.run(("test", "-e", f"{INTERFACES}/{name}"), timeout=_SECONDS).status == 0


def _lend(host: RemoteHost, folder: PurePath) -> str:
    said = host.shell.run(("sh", "-c", _LEND, "lend", str(folder)), timeout=_SECONDS)
    if said.status:
        raise DeploymentFailed(f"{host.name}: cannot make {folder}: {said.output.strip()}")
    return said.output.split()[-1]
