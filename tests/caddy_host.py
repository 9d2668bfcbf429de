"""A production host that has a Caddy: this machine's, run as Debian's package runs it."""

import io
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.production_host import ProductionHost, start_host

if TYPE_CHECKING:
    import docker  # half a second that only tests with Docker shall pay

_FILES = ("/usr/bin/caddy", "/lib/systemd/system/caddy-api.service")
_START_SECONDS = 30
# What the package does when it is installed, and then what docs/switch.md asks the operator for.
_OPERATOR = """
useradd --system --user-group --create-home --home-dir /var/lib/caddy caddy
mount -o remount,rw /proc/sys
echo net.ipv4.tcp_migrate_req=1 > /etc/sysctl.d/caddy.conf
sysctl --quiet --load /etc/sysctl.d/caddy.conf
mkdir -p /etc/systemd/system/caddy-api.service.d
printf '[Service]\\nRestart=always\\n' > /etc/systemd/system/caddy-api.service.d/restart.conf
systemctl enable --now caddy-api
"""


@contextmanager
def caddy_host(engine: "docker.DockerClient", folder: Path) -> Iterator[ProductionHost]:
    """A running one; its Caddy's admin API is where it is by default."""
    host = start_host(engine, folder, "caddy")
    try:
        host.container.put_archive("/", _packed())
        said = host.run(_OPERATOR)
        deadline = time.monotonic() + _START_SECONDS
        while host.run("systemctl is-active caddy-api").strip() != "active":
            assert time.monotonic() < deadline, said + host.run("journalctl -u caddy-api")
        yield host
    finally:
        host.stop()


def _packed() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as tar:
        for name in _FILES:
            tar.add(name)
    return packed.getvalue()
