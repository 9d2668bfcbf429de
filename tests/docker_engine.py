"""A Docker engine for tests: one that is reachable, or one of our own for as long as it takes."""

import contextlib
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest

from build_executor import command
from build_executor.errors import DeploymentFailed
from build_executor.settings import Settings, inherited_environment

_START_SECONDS = 60.0
_POLL_SECONDS = 0.1


@contextlib.contextmanager
def running_engine(folder: Path) -> Iterator[str]:
    """The engine's address; DOCKER_HOST's if one answers there, else one of our own in `folder`.

    The test is skipped where Docker is not installed, or must be started and we are not root.
    """
    settings = Settings()
    if _answers(settings.docker_host):
        yield settings.docker_host
        return
    if shutil.which("dockerd") is None:
        pytest.skip("Docker is not installed")
    if os.geteuid() != 0:
        pytest.skip(f"no Docker engine at {settings.docker_host}, and only root can start one")
    with own_engine(folder) as address:
        yield address


@contextlib.contextmanager
def own_engine(folder: Path) -> Iterator[str]:
    """An engine that shares nothing with another one but the kernel; it makes its folder."""
    folder.mkdir(exist_ok=True)
    with _bridge() as bridge, _dockerd(folder, ["dockerd", *bridge]) as address:
        yield address


@contextlib.contextmanager
def engine_elsewhere(folder: Path) -> Iterator[str]:
    """An engine whose socket is here, and whose containers are in a network of their own."""
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        pytest.skip("needs Docker, and root to start it")
    with _dockerd(folder, ["unshare", "--net", "dockerd"]) as address:
        yield address


@contextlib.contextmanager
def _bridge() -> Iterator[tuple[str, ...]]:
    """Two engines on one bridge would give the same addresses to their containers.

    Of a bridge that an engine makes for itself, it does not say which address is this machine's.
    """
    name = f"test{os.getpid()}"
    network = f"10.{random.randrange(200, 250)}.{random.randrange(256)}.1/24"  # noqa: S311
    command.run(["ip", "link", "add", name, "type", "bridge"], timeout=10)
    try:
        command.run(["ip", "address", "add", network, "dev", name], timeout=10)
        command.run(["ip", "link", "set", name, "up"], timeout=10)
        yield ("--bridge", name)
    finally:
        command.run(["ip", "link", "delete", name], timeout=10)


@contextlib.contextmanager
def _dockerd(folder: Path, argv: list[str]) -> Iterator[str]:
    address, log = f"unix://{folder}/docker.sock", folder / "dockerd.log"
    folders = ("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec")
    files = ("--pidfile", f"{folder}/pid", "--host", address)
    environment = inherited_environment()  # a mirror or a proxy of this machine
    process = command.start([*argv, *folders, *files], log=log, environment=environment)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(address):
            if process.poll() is not None or time.monotonic() > deadline:
                message = f"dockerd does not start: {log.read_text()[-2000:]}"
                raise RuntimeError(message)
            time.sleep(_POLL_SECONDS)
        yield address
        _remove_networks(address)
    finally:
        command.stop(process, grace=30)
        _unmount_below(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _remove_networks(address: str) -> None:
    """Their bridges would outlive the engine."""
    from build_executor.targets.docker_engine import DockerEngine  # noqa: PLC0415 - slow

    with contextlib.suppress(DeploymentFailed), DockerEngine(address).client() as client:
        client.networks.prune()


def _unmount_below(folder: Path) -> None:
    """A killed engine leaves mounts behind, and what is mounted cannot be removed."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        command.run(["umount", mount], timeout=30)


def remove_containers(settings: Settings, root: PurePath) -> None:
    """End and remove all containers of the services below `root`, and their switch."""
    from build_executor.targets.docker_engine import DockerEngine  # noqa: PLC0415
    from build_executor.targets.docker_runtime import end_all  # noqa: PLC0415
    from build_executor.targets.docker_target import scope_of  # noqa: PLC0415

    end_all(DockerEngine(settings.docker_host), scope_of(root))


def remove_images(settings: Settings, root: PurePath) -> None:
    """Remove what containers of the services below `root` were made from."""
    from build_executor.targets import docker_images  # noqa: PLC0415 - slow: not for all tests
    from build_executor.targets.docker_engine import DockerEngine  # noqa: PLC0415
    from build_executor.targets.docker_target import scope_of  # noqa: PLC0415

    scope = scope_of(root)
    engine = DockerEngine(settings.docker_host)
    with engine.client() as client:
        for image in client.images.list(filters={"label": f"build-executor.scope={scope}"}):
            client.images.remove(image.tags[0])
    docker_images.ReleaseImages(engine, scope, settings).prune()


def _answers(address: str) -> bool:
    from build_executor.targets.docker_engine import DockerEngine  # noqa: PLC0415 - see below

    try:
        with DockerEngine(address).client() as client:
            return bool(client.ping())
    except DeploymentFailed:
        return False
