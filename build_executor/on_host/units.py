"""The units of this host's releases and of its switch: what runs, and what it may do.

A service sees its own release, its packages and its data, nothing else of the root folder or of
the user's home, and cannot talk to the manager that started it.
"""

import re
import sys
from pathlib import Path

from build_executor.on_host.places import Places, Refused
from build_executor.on_host.releases import PACKAGES

_PLAIN = re.compile(r"[A-Za-z0-9:_.-]")
_PORT = re.compile(r'^Environment="PORT=(\d+)"$', re.MULTILINE)
_PREFIX = "build-executor-"
SERVICES = f"{_PREFIX}*@*.service"
SWITCH = f"{_PREFIX}switch.service"
_GRACE_SECONDS = 5

_UNIT = """\
[Unit]
Description={description}
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={command}
WorkingDirectory={folder}
{environment}
Restart=always
RestartSec={pause}
RestartSteps=5
RestartMaxDelaySec=30
TimeoutStopSec=10
UMask=0077
MemoryMax={memory}
TasksMax=256
LimitCORE=0
LimitNOFILE={files}
NoNewPrivileges=yes
PrivateUsers=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies={families}
SystemCallArchitectures=native
SystemCallFilter=@system-service
InaccessiblePaths=-%t
{paths}

[Install]
WantedBy=default.target
"""


def service_unit(service: str, release: str) -> str:
    """The name of a release's unit."""
    return f"{_PREFIX}{_escaped(service)}@{_escaped(release)}.service"


def service_text(places: Places, service: str, release: str, port: int) -> str:
    """The unit of a release that listens on this loopback port."""
    folder, data = places.release(service, release), places.shared(service, "data")
    packages = (folder / PACKAGES).resolve()
    variables = {
        "PORT": str(port),
        "RELEASE_ID": release,
        "DATA_DIR": str(data),
        "HOME": str(data),
        "PYTHONPATH": str(packages),
        "PYTHONUNBUFFERED": "1",
    }
    paths = [
        f"TemporaryFileSystem={_word(places.root)}:ro",
        f"BindReadOnlyPaths={_word(folder)} -{_word(packages)}",
        f"BindPaths={_word(data)}",
    ]
    return _UNIT.format(
        description=f"build-executor: {service} {_text(release)}",
        command=" ".join(_word(word) for word in _serve(port)),
        folder=_word(folder),
        environment=_environment(variables),
        pause="500ms",
        memory="512M",
        files=4096,
        families="AF_INET AF_INET6",
        paths="\n".join(paths),
    )


def switch_text(places: Places, tools: Path, argv: list[str]) -> str:
    """The unit of the switch, which `argv` starts."""
    return _UNIT.format(
        description="build-executor: the switch",
        command=" ".join(_word(word) for word in argv),
        folder=_word(places.switch),
        environment=_environment({"PYTHONPATH": str(tools)}),
        pause="100ms",  # all services wait for it
        memory="512M",
        files=65536,
        families="AF_INET AF_INET6 AF_UNIX",
        paths=f"ReadWritePaths={_word(places.switch)}",
    )


def port_of(text: str | None) -> int | None:
    """The private port in the text of a unit."""
    found = _PORT.search(text or "")
    return int(found[1]) if found else None


def _serve(port: int) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "uvicorn", "app.main:app"),
        *("--host", "127.0.0.1", "--port", str(port), "--no-server-header"),
        *("--timeout-graceful-shutdown", str(_GRACE_SECONDS)),
    )


def _environment(variables: dict[str, str]) -> str:
    return "\n".join(f'Environment="{name}={_text(value)}"' for name, value in variables.items())


def _escaped(name: str) -> str:
    """As systemd-escape(1) writes what must not be in the name of a unit."""
    return "".join(c if _PLAIN.fullmatch(c) else f"\\x{ord(c):02x}" for c in name)


def _text(value: str) -> str:
    if not value.isprintable() or '"' in value or "\\" in value:
        raise Refused(f"not for a unit: {value!r}")
    return value.replace("%", "%%")


def _word(value: object) -> str:
    text = _text(str(value))
    if " " in text or "$" in text or ":" in text.removeprefix("app.main:"):
        raise Refused(f"not for a unit: {text!r}")
    return text
