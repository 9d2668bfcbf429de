"""Instances of releases as containers with as few rights as a service needs."""

import contextlib
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from docker import DockerClient
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import Ulimit

from build_executor.errors import DeploymentFailed
from build_executor.targets.docker_engine import DockerEngine
from build_executor.targets.docker_images import (
    GRACE_SECONDS,
    INNER_PORT,
    RELEASE,
    SCOPE,
    SERVICE,
    ReleaseImages,
    plain_name,
)
from build_executor.targets.docker_network import ADDRESS, free_addresses, our_network
from build_executor.targets.store import Store

Lend = Callable[[PurePath], str]
"""Lets containers write in a folder of the host: the user (uid:gid) that they must run as."""

_PORT = "build-executor.port"  # of a time when ports were published
_TAKEN = "address already in use"
_LOG_LINES = 25
_MEGABYTE = 1024 * 1024


class DockerRuntime:
    """One container a release; the engine brings it back after a crash, and after its own end."""

    def __init__(
        self, engine: DockerEngine, images: ReleaseImages, store: Store, lend: Lend
    ) -> None:
        self._engine, self._images, self._store, self._lend = engine, images, store, lend
        self._restarts: dict[str, int] = {}

    def start(self, service: str, release_id: str) -> str:
        """Start the instance, or leave it as it is if it runs."""
        name = self._name(service, release_id)
        with self._engine.client() as client:
            container = find_container(client, name)
            if container is not None and container.status == "running":
                self._restarts[name] = container.attrs["RestartCount"]
                return _address(container)
            if container is not None:
                _remove(container)
            self._restarts[name] = 0
            return self._run(client, service, release_id)

    def address(self, service: str, release_id: str) -> str | None:
        """Where the instance listens; None if it is not kept running."""
        with self._engine.client() as client:
            container = find_container(client, self._name(service, release_id))
            return None if container is None else _address(container)

    def complaint(self, service: str, release_id: str) -> str | None:
        """How its container ended, also if it was started again since, with its last words."""
        name = self._name(service, release_id)
        with self._engine.client() as client:
            container = find_container(client, name)
            if container is None:
                return "its container is gone"
            restarts = container.attrs["RestartCount"]
            is_up = container.status in {"created", "running"}
            if is_up and restarts == self._restarts.get(name, restarts):
                return None
            return f"{_ending(container)}: {_last_words(container) or 'it said nothing'}"

    def log(self, service: str, release_id: str) -> str:
        """The last lines that its container printed."""
        with self._engine.client() as client:
            container = find_container(client, self._name(service, release_id))
            return "" if container is None else _last_words(container)

    def stop(self, service: str, release_id: str) -> None:
        """End the instance for good."""
        with self._engine.client() as client:
            container = find_container(client, self._name(service, release_id))
            if container is not None:
                _end(container)

    def _run(self, client: DockerClient, service: str, release_id: str) -> str:
        data = self._store.shared(service, "data")
        identity = {SERVICE: service, RELEASE: release_id, SCOPE: self._images.scope}
        options = {
            "name": self._name(service, release_id),
            "image": self._images.name(service, release_id),
            "user": self._lend(data),
            "environment": {"PORT": str(INNER_PORT), "RELEASE_ID": release_id, **_FOLDERS},
            "volumes": {str(data): {"bind": _FOLDERS["DATA_DIR"], "mode": "rw"}},
        }
        network = our_network(client)
        for address in free_addresses(client, network):
            endpoint = client.api.create_endpoint_config(ipv4_address=address)
            container = client.containers.create(
                **options,
                labels={**identity, ADDRESS: address},
                network=network.name,
                networking_config={network.name: endpoint},
                **hardened(),
            )
            if _started(container):
                return f"{address}:{INNER_PORT}"
        raise DeploymentFailed(f"no free address in the Docker network `{network.name}`")

    def _name(self, service: str, release_id: str) -> str:
        return f"build-executor-{self._images.scope}-{plain_name(service, release_id)}"


_FOLDERS = {"DATA_DIR": "/data", "HOME": "/tmp"}  # noqa: S108 - the container's own


def hardened() -> dict[str, Any]:
    """What a service may do and use; its own data and `/tmp` are all it can write to."""
    return {
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "read_only": True,
        "tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=64m"},  # noqa: S108 - the container's own
        "pids_limit": 256,
        "mem_limit": 512 * _MEGABYTE,
        "memswap_limit": 512 * _MEGABYTE,
        "nano_cpus": 1_000_000_000,
        "ulimits": [Ulimit(name="core", soft=0, hard=0)],
        "init": True,
        # Not `unless-stopped`: an engine that was killed takes what it finds running for stopped.
        "restart_policy": {"Name": "always"},
        "log_config": {"type": "json-file", "config": {"max-size": "10m", "max-file": "3"}},
    }


def end_all(engine: DockerEngine, scope: str) -> None:
    """End all containers of one target; each is made again when its release is started."""
    with engine.client() as client:
        ours = {"label": f"{SCOPE}={scope}"}
        for container in client.containers.list(all=True, filters=ours, ignore_removed=True):
            _end(container)


def find_container(client: DockerClient, name: str) -> Container | None:
    """The container of this name, in whatever state; None if there is none."""
    try:
        return client.containers.get(name)
    except NotFound:
        return None


def _started(container: Container) -> bool:
    """False if somebody else has its address; it is removed then, as after every other failure."""
    try:
        container.start()
    except APIError as error:
        _remove(container)
        if _TAKEN not in str(error.explanation).lower():
            raise
        return False
    return True


def _end(container: Container) -> None:
    with contextlib.suppress(NotFound):
        container.stop(timeout=2 * GRACE_SECONDS)
    _remove(container)


def _remove(container: Container) -> None:
    with contextlib.suppress(NotFound):
        container.remove(v=True, force=True)


def _address(container: Container) -> str:
    if ADDRESS in container.labels:
        return f"{container.labels[ADDRESS]}:{INNER_PORT}"
    return f"127.0.0.1:{container.labels[_PORT]}"


def _ending(container: Container) -> str:
    state = container.attrs["State"]
    if state["OOMKilled"]:
        return "its container ran out of memory"
    if container.status == "running":
        return "its process ended and was started again"
    return f"its container ended with {state['ExitCode']}"


def _last_words(container: Container) -> str:
    said: bytes = container.logs(tail=_LOG_LINES)
    return said.decode(errors="replace").strip()
