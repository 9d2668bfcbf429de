"""One Debian image for the hosts and the containers of tests, made once per Docker engine.

It is bootstrapped from the package mirror that this machine itself uses, so that tests need no
image registry. The recipe's digest is a label of the image: another recipe, another image.
"""

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from build_executor import command
from build_executor.settings import inherited_environment

if TYPE_CHECKING:
    import docker  # half a second that only tests with Docker shall pay

_REPOSITORY = "build-executor-test-debian"
_SUITE = "bookworm"
_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "python3"),
    *("ca-certificates", "procps", "iproute2", "iptables"),
)
_SOURCES = ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list")
_MIRROR = re.compile(r"^(?:URIs:|deb(?:\s+\[[^]]*\])?)\s+(https?://\S+)", re.MULTILINE)
_SSHD = """PasswordAuthentication no
PermitRootLogin no
MaxStartups 100:30:200
MaxSessions 50
"""
_POINTLESS_IN_A_CONTAINER = (
    *("systemd-udevd.service", "systemd-udev-trigger.service", "systemd-modules-load.service"),
    *("getty@tty1.service", "console-getty.service", "systemd-timesyncd.service"),
    *("dev-hugepages.mount", "sys-fs-fuse-connections.mount", "sys-kernel-debug.mount"),
    *("sys-kernel-tracing.mount", "apt-daily.timer", "apt-daily-upgrade.timer"),
    *("e2scrub_all.timer", "fstrim.timer"),
)
# What an operator does once on a production host; docs/production.md says the same.
_OPERATOR = """
useradd --create-home --shell /bin/bash deploy
mkdir -p /var/lib/systemd/linger && touch /var/lib/systemd/linger/deploy
install -d -o deploy -g deploy -m 0755 /srv/apps
"""


def debian_image(engine: "docker.DockerClient") -> str:
    """The name of the image: systemd, sshd, Python 3.11 and a user `deploy` without any rights.

    About a minute the first time, and nothing afterwards. Needs root and `debootstrap`.
    """
    name = f"{_REPOSITORY}:{_recipe()}"
    if not engine.images.list(name=name):
        if os.geteuid() != 0 or shutil.which("debootstrap") is None:
            pytest.skip("the image of the tests is made by root, with debootstrap")
        _make(engine, name)
    return name


def _recipe() -> str:
    words = repr((_SUITE, _PACKAGES, _SSHD, _POINTLESS_IN_A_CONTAINER, _OPERATOR))
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def _make(engine: "docker.DockerClient", name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="debian-image-") as scratch:
        root, archive = Path(scratch) / "root", Path(scratch) / "root.tar"
        packages = f"--include={','.join(_PACKAGES)}"
        _run("debootstrap", "--variant=minbase", packages, _SUITE, str(root), _mirror())
        _furnish(root)
        _run("tar", "-C", str(root), "-cf", str(archive), ".")
        repository, tag = name.split(":")
        engine.api.import_image_from_file(
            str(archive), repository=repository, tag=tag, changes=["ENV container docker"]
        )


def _furnish(root: Path) -> None:
    (root / "etc/ssh/sshd_config.d/tests.conf").write_text(_SSHD)
    (root / "etc/machine-id").write_text("")
    units = root / "etc/systemd/system"
    for unit in _POINTLESS_IN_A_CONTAINER:
        (units / unit).symlink_to("/dev/null")
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    for key in root.glob("etc/ssh/ssh_host_*"):
        key.unlink()
    for package in root.glob("var/cache/apt/archives/*.deb"):
        package.unlink()
    _run("chroot", str(root), "sh", "-ec", _OPERATOR)


def _run(*argv: str) -> None:
    environment = {**inherited_environment(), "LC_ALL": "C.UTF-8"}  # a mirror may need a proxy
    command.run(argv, timeout=600, environment=environment)


def _mirror() -> str:
    """The package mirror of this machine."""
    for source in map(Path, _SOURCES):
        found = _MIRROR.search(source.read_text()) if source.exists() else None
        if found is not None:
            return found[1]
    message = "no package mirror in " + " or ".join(_SOURCES)
    raise RuntimeError(message)
