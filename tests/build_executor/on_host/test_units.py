"""What a unit asks systemd for: most of it shows only when a service misbehaves."""

from pathlib import Path

import pytest

from build_executor.on_host.places import Places
from build_executor.on_host.units import service_text, switch_text

CONFINEMENT = [
    *("NoNewPrivileges=yes", "PrivateUsers=yes", "PrivateTmp=yes", "ProtectSystem=strict"),
    *("ProtectHome=yes", "ProtectKernelTunables=yes", "LockPersonality=yes"),
    *("RestrictNamespaces=yes", "RestrictRealtime=yes", "RestrictSUIDSGID=yes"),
    *("SystemCallArchitectures=native", "SystemCallFilter=@system-service"),
    *("InaccessiblePaths=-%t", "UMask=0077", "LimitCORE=0", "TasksMax=256", "MemoryMax=512M"),
]
COMES_BACK = ["Restart=always", "StartLimitIntervalSec=0", "WantedBy=default.target"]


@pytest.fixture
def service(tmp_path: Path) -> list[str]:
    return service_text(Places(tmp_path), "shop", "1.0.0-abc", 18001).splitlines()


@pytest.fixture
def switch(tmp_path: Path) -> list[str]:
    return switch_text(Places(tmp_path), tmp_path / "tools", ["/usr/bin/python3"]).splitlines()


@pytest.mark.parametrize("line", CONFINEMENT)
def test_a_service_and_the_switch_are_confined(
    line: str, service: list[str], switch: list[str]
) -> None:
    assert line in service
    assert line in switch


@pytest.mark.parametrize("line", COMES_BACK)
def test_both_come_back_after_a_crash_and_after_a_reboot(
    line: str, service: list[str], switch: list[str]
) -> None:
    assert line in service
    assert line in switch


def test_a_service_speaks_ip_only_and_the_switch_listens_to_its_deployers_too(
    service: list[str], switch: list[str]
) -> None:
    assert "RestrictAddressFamilies=AF_INET AF_INET6" in service
    assert "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX" in switch


def test_a_service_sees_nothing_of_the_others(service: list[str], tmp_path: Path) -> None:
    shop = f"{tmp_path}/shop"

    assert f"TemporaryFileSystem={tmp_path}:ro" in service
    assert f"BindPaths={shop}/shared/data" in service
    (readable,) = [line for line in service if line.startswith("BindReadOnlyPaths=")]
    assert readable.split("=")[1].split()[0] == f"{shop}/releases/1.0.0-abc"


def test_a_service_is_told_where_it_is_and_nothing_else(service: list[str]) -> None:
    variables = [line.split('"')[1] for line in service if line.startswith("Environment=")]

    names = [variable.partition("=")[0] for variable in variables]
    assert names == ["PORT", "RELEASE_ID", "DATA_DIR", "HOME", "PYTHONPATH", "PYTHONUNBUFFERED"]
    assert variables[:2] == ["PORT=18001", "RELEASE_ID=1.0.0-abc"]
