"""A production host for tests: Debian with systemd and sshd in a container, ready in two seconds.

Its user `deploy` may do nothing as root. Public ports are reached at the container's own address.
"""

import io
import ipaddress
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from build_executor import command
from build_executor.errors import CommandFailed
from build_executor.settings import Settings
from tests.debian_image import debian_image

if TYPE_CHECKING:
    import docker  # half a second that only tests with Docker shall pay

_LABEL = "build-executor-tests"
_START_SECONDS = 30
# Docker mounts the control groups read-only; with them systemd can limit memory and processes.
_INIT = (
    "mount -o remount,bind,rw /sys/fs/cgroup; for d in /sys/fs/cgroup/*/;"
    " do mount -o remount,bind,rw $d; done 2>/dev/null; exec /sbin/init --show-status=0"
)


@dataclass(frozen=True)
class ProductionHost:
    """A running host. `address` is its IP address, `folder` holds the keys to it."""

    container: Any
    address: str
    folder: Path

    @property
    def login(self) -> str:
        """What PRODUCTION_HOSTS says of it."""
        return f"deploy@{self.address}"

    @property
    def known_as(self) -> str:
        """The host's name in a file of known hosts."""
        return self.address

    @property
    def key_file(self) -> Path:
        return self.folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def settings(self, **others: Any) -> Settings:  # noqa: ANN401 - any setting
        """The settings of an installation whose only production host this is."""
        return Settings(
            production_hosts=(self.login,),
            ssh_key_file=self.key_file,
            ssh_known_hosts=self.known_hosts,
            **others,
        )

    def run(self, script: str, *, user: str = "root") -> str:
        """What a shell script says on the host; not over SSH."""
        argv = ["timeout", "30", "sh", "-c", script]
        return str(self.container.exec_run(argv, user=user).output.decode())

    def reboot(self) -> None:
        """End everything on the host, and start it again at the same address."""
        self.container.restart(timeout=10)
        self._await()

    def stop(self) -> None:
        self.container.remove(force=True)

    def _await(self) -> None:
        """Return once it answers and its services are up."""
        argv = ("ssh", "-i", str(self.key_file), "-o", f"UserKnownHostsFile={self.known_hosts}")
        options = ("-F", "/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=2")
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                ask = ("systemctl", "is-system-running", "--wait", "||", "true")
                command.run([*argv, *options, self.login, *ask], timeout=_START_SECONDS)
            except CommandFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


def start_host(engine: "docker.DockerClient", folder: Path, name: str) -> ProductionHost:
    """A new host; end it with `stop`."""
    keys = host_keys(folder)
    container = engine.containers.create(
        debian_image(engine),
        ["/bin/sh", "-c", _INIT],
        hostname=name,
        labels={_LABEL: "host"},
        cap_add=["SYS_ADMIN", "NET_ADMIN"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        cgroupns="private",
        stop_signal="SIGRTMIN+3",
        tmpfs={"/run": "mode=755", "/run/lock": "", "/tmp": "exec"},  # noqa: S108 - the container's
        mem_limit="1g",
        pids_limit=1000,
    )
    container.put_archive("/", keys)
    container.start()
    container.reload()
    networks = container.attrs["NetworkSettings"]["Networks"].values()
    address = str(ipaddress.ip_address(next(iter(networks))["IPAddress"]))
    public = (folder / "host_ed25519.pub").read_text()
    (folder / "known_hosts").write_text(f"{address} {public}")
    host = ProductionHost(container, address, folder)
    try:
        host._await()  # noqa: SLF001 - a host that never starts is not handed out
    except BaseException:
        host.stop()
        raise
    return host


def host_keys(folder: Path) -> bytes:
    """The files of the host's and the user's keys, as a tar."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("id_ed25519", "host_ed25519"):
        if not (folder / name).exists():
            generate = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name)
            command.run([*generate, "-f", str(folder / name)], timeout=30)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        _add(tar, "etc/ssh/ssh_host_ed25519_key", folder / "host_ed25519", owner=0)
        _add(tar, "etc/ssh/ssh_host_ed25519_key.pub", folder / "host_ed25519.pub", owner=0)
        _add(tar, "home/deploy/.ssh/authorized_keys", folder / "id_ed25519.pub", owner=1000)
    return packed.getvalue()


def _add(tar: tarfile.TarFile, name: str, file: Path, owner: int) -> None:
    parent = tarfile.TarInfo(str(Path(name).parent))
    parent.type, parent.mode = tarfile.DIRTYPE, 0o755
    member = tarfile.TarInfo(name)
    member.size, member.mode = file.stat().st_size, 0o600
    for info in (parent, member):
        info.uid = info.gid = owner
        tar.addfile(info, io.BytesIO(file.read_bytes()) if info is member else None)
