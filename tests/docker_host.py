"""A production host with Docker for tests: its sshd in a container, its engine that of the tests.

It shares this machine's network, since published ports are opened where the engine is, and has its
root folder at the same path. Its user `deploy` may use the engine, and nothing else.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from build_executor import command
from build_executor.errors import CommandFailed
from build_executor.settings import Settings
from tests.debian_image import debian_image
from tests.ports import free_port
from tests.production_host import host_keys

if TYPE_CHECKING:
    import docker  # half a second that only tests with Docker shall pay

HOST = "docker-host"
_START_SECONDS = 30
# A group that has the number of the engine's socket here may exist there, or not.
_INIT = """
number=$(stat -c %g /var/run/docker.sock)
getent group "$number" >/dev/null || groupadd -g "$number" engine
usermod -aG "$(getent group "$number" | cut -d: -f1)" deploy
chown deploy "$1"
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e -p "$2" -o ListenAddress=127.0.0.1
"""


@contextmanager
def docker_host(engine: "docker.DockerClient", socket: Path, folder: Path) -> Iterator[Settings]:
    """The settings of an installation whose only production host this is."""
    root, port = folder / "apps", free_port()
    root.mkdir()
    keys = host_keys(folder)
    container = engine.containers.create(
        debian_image(engine),
        ["/bin/sh", "-ec", _INIT, "init", str(root), str(port)],
        labels={"build-executor-tests": HOST},
        network_mode="host",
        init=True,
        volumes={
            str(socket): {"bind": "/var/run/docker.sock", "mode": "rw"},
            str(root): {"bind": str(root), "mode": "rw"},
        },
    )
    try:
        container.put_archive("/", keys)
        container.start()
        public = (folder / "host_ed25519.pub").read_text()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
        settings = Settings(
            production_hosts=(f"deploy@127.0.0.1:{port}",),
            production_runtime="docker",
            production_root=PurePosixPath(root),
            production_bind=_own_address(engine),
            ssh_key_file=folder / "id_ed25519",
            ssh_known_hosts=folder / "known_hosts",
            docker_base_image=debian_image(engine),
            build_executor_home=folder / "home",
            keep_releases=2,
        )
        _await(settings, port, container)
        yield settings
    finally:
        container.remove(force=True)


def _own_address(engine: "docker.DockerClient") -> IPv4Address:
    """Where containers meet this machine: no other machine does."""
    config = engine.networks.get("bridge").attrs["IPAM"]["Config"][0]
    # An engine that made its bridge just now does not say which address it took: the first one.
    return IPv4Address(config.get("Gateway") or next(IPv4Network(config["Subnet"]).hosts()))


def _await(settings: Settings, port: int, container: Any) -> None:  # noqa: ANN401 - SDK, no types
    key, known = str(settings.ssh_key_file), f"UserKnownHostsFile={settings.ssh_known_hosts}"
    argv = ["ssh", "-F", "/dev/null", "-i", key, "-o", known, "-o", "BatchMode=yes"]
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            command.run([*argv, "-p", str(port), "deploy@127.0.0.1", "true"], timeout=10)
        except CommandFailed as error:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{error}: {container.logs().decode()}") from error
            time.sleep(0.1)
        else:
            return
