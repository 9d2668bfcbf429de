"""Production: one target for each host of PRODUCTION_HOSTS, entered over SSH.

Nothing is contacted that is not in the settings, and nothing is contacted before it is needed.
"""

import ipaddress
from pathlib import Path

from build_executor.errors import InvalidSettings
from build_executor.settings import Settings
from build_executor.targets.host import HostTarget, Parts, Patience
from build_executor.targets.remote_host import RemoteHost
from build_executor.targets.remote_store import RemoteStore, Vendor, vendor_from_lock
from build_executor.targets.shell import Login, Shell
from build_executor.targets.switch import EmbeddedSwitch
from build_executor.targets.switching import switched
from build_executor.targets.systemd import RemotePorts, SystemdRuntime, SystemdSwitchProcess


def production_targets(
    settings: Settings, patience: Patience | None = None
) -> tuple[HostTarget, ...]:
    """The production hosts; InvalidSettings says which setting is missing or wrong."""
    logins = _logins(settings)
    if ipaddress.ip_address(str(settings.production_bind)).is_loopback:
        raise InvalidSettings(
            f"PRODUCTION_BIND {settings.production_bind}: users, the registry and the health check"
            " meet public ports there: give an address that the host is reached at"
        )
    vendor = vendor_from_lock(settings)
    targets = []
    for number, login in enumerate(logins, start=1):
        parts = host_parts(production_shell(settings, login), login, vendor, settings)
        parts = switched(parts, settings, str(settings.production_bind))
        name = "production" if number == 1 else f"production-{number}"
        keep = settings.keep_releases
        targets.append(HostTarget(name, parts, keep_releases=keep, patience=patience))
    return tuple(targets)


def production_shell(settings: Settings, login: Login) -> Shell:
    """A shell on a production host; InvalidSettings if there is no key, or no known host."""
    key_file = _required(settings.ssh_key_file, "SSH_KEY_FILE")
    known_hosts = _required(settings.ssh_known_hosts, "SSH_KNOWN_HOSTS")

    # Here, since paramiko takes a third of a second and most processes never need it.
    from build_executor.targets.ssh_connection import Credentials  # noqa: PLC0415
    from build_executor.targets.ssh_shell import SshShell  # noqa: PLC0415

    return SshShell(login, Credentials(key_file=key_file, known_hosts=known_hosts))


def host_parts(
    shell: Shell, login: Login, vendor: Vendor, settings: Settings, lock_seconds: float = 60
) -> Parts:
    """A host whose releases and switch are systemd units, or containers."""
    host, bind = RemoteHost(shell, settings.production_root), str(settings.production_bind)
    parts = Parts(
        store=RemoteStore(host, vendor, lock_seconds=lock_seconds),
        ports=RemotePorts(host, bind),
        runtime=SystemdRuntime(host),
        switch=EmbeddedSwitch(SystemdSwitchProcess(host, bind)),
        reach=shell.reach,
        public_url=lambda port: public_url(login, bind, port, shell),
    )
    if settings.production_runtime == "systemd":
        return parts

    # Here, since Docker's SDK takes a quarter of a second and most processes never need it.
    from build_executor.targets.docker_production import with_containers  # noqa: PLC0415

    return with_containers(parts, host, bind, settings)


def public_url(login: Login, bind: str, port: int, shell: Shell) -> str:
    """Where users meet a public port: at the address it is opened at, if that is only one.

    A port that is open to the host itself alone is reached through the shell.
    """
    address = ipaddress.ip_address(bind)
    if address.is_loopback:
        return shell.reach(f"{bind}:{port}")
    host = login.host if address.is_unspecified else str(address)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _logins(settings: Settings) -> tuple[Login, ...]:
    if not settings.production_hosts:
        raise InvalidSettings("the target `production` is not configured: set PRODUCTION_HOSTS")
    logins = tuple(Login.parse(text) for text in settings.production_hosts)
    if len({login.host for login in logins}) < len(logins):
        raise InvalidSettings("PRODUCTION_HOSTS names a host twice")
    return logins


def _required(file: Path | None, name: str) -> Path:
    if file is None:
        raise InvalidSettings(f"the target `production` needs {name}")
    if not file.is_file():
        raise InvalidSettings(f"{name} names no file: {file}")
    return file
