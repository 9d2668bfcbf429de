"""The network of the releases' containers: each has an address of its own, for as long as it lives.

Nothing is published. Docker's proxy would accept connections for a container that is dead, and end
them; an address that is silent is one at which the switch can let its clients wait.
"""

import contextlib
import random
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path
from uuid import uuid4

from docker import DockerClient
from docker.errors import APIError
from docker.models.networks import Network
from docker.types import IPAMConfig, IPAMPool

from build_executor.errors import DeploymentFailed

INTERFACES = "/sys/class/net"
"""The folder of a Linux machine that has an entry for each of its network interfaces."""

ADDRESS = "build-executor.address"
_NETWORK = "build-executor"
_LABELS = {"build-executor.network": "releases"}
_OPTIONS = {"com.docker.network.bridge.enable_icc": "false"}  # services do not meet behind our back
_BRIDGE = "com.docker.network.bridge.name"
_TRIES = 3
_ADDRESSES = 20


def our_network(client: DockerClient) -> Network:
    """The one network of an engine for releases, made if it is not there."""
    for _ in range(_TRIES):
        if (found := _find(client)) is not None:
            return found
        # Another deployer may be faster, with this network or with its addresses.
        with contextlib.suppress(APIError):
            return _create(client)
    return _find(client) or _create(client)


def check_reach(
    client: DockerClient, has_interface: Callable[[str], bool], machine: str, instead: str
) -> None:
    """DeploymentFailed unless containers are reached by their addresses from `machine`.

    They are if their bridge is one of its interfaces. Addresses prove nothing: an engine in a
    virtual machine or a namespace of its own hands out the same ones as the next.
    """
    known = _find(client)
    network = known or our_network(client)
    if has_interface((network.attrs.get("Options") or {}).get(_BRIDGE) or _bridge_of(network)):
        return
    if known is None:
        with contextlib.suppress(APIError):  # somebody has begun to use it
            network.remove()
    raise DeploymentFailed(
        f"the Docker engine gives containers addresses that {machine} does not reach: it has a"
        " network of its own (Docker Desktop, rootless, or on another machine);"
        f" use an engine that runs on {machine} as root, or {instead}"
    )


def is_interface_here(name: str) -> bool:
    """Whether this machine has a network interface of this name."""
    return (Path(INTERFACES) / name).exists()


def free_addresses(client: DockerClient, network: Network) -> Iterator[str]:
    """Some that no container of ours has, not even one that is about to come back."""
    subnet = _subnet(network)
    known = client.api.containers(all=True, filters={"label": ADDRESS})
    taken = {container["Labels"][ADDRESS] for container in known}
    usable = range(2, subnet.num_addresses - 1)  # the first is the host's own
    for number in random.sample(usable, min(_ADDRESSES, len(usable))):
        if (address := str(subnet[number])) not in taken:
            yield address


def _bridge_of(network: Network) -> str:
    """What Docker calls it, unless it was told otherwise."""
    return f"br-{str(network.id)[:12]}"


def _find(client: DockerClient) -> Network | None:
    labels = [f"{name}={value}" for name, value in _LABELS.items()]
    found = client.networks.list(filters={"label": labels})
    return min(found, key=lambda network: str(network.id), default=None)


def _create(client: DockerClient) -> Network:
    """Addresses can be fixed only where the subnet was asked for, so Docker is asked for one."""
    probe = client.networks.create(f"{_NETWORK}-{uuid4().hex[:8]}", driver="bridge")
    try:
        probe.reload()
        subnet = str(_subnet(probe))
    finally:
        probe.remove()
    return client.networks.create(
        _NETWORK,
        driver="bridge",
        check_duplicate=True,
        labels=_LABELS,
        options=_OPTIONS,
        ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]),
    )


def _subnet(network: Network) -> IPv4Network:
    pools = [IPv4Network(pool["Subnet"]) for pool in network.attrs["IPAM"]["Config"]]
    return pools[0]
