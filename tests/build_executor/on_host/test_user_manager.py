"""What is asked of systemd's manager of this user; systemctl is a script that writes it down."""

import os
import pwd
from pathlib import Path

import pytest

from build_executor.on_host import user_manager
from build_executor.on_host.places import Refused
from build_executor.on_host.user_manager import UserManager

USER = pwd.getpwuid(os.getuid())


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


@pytest.fixture
def manager(tmp_path: Path, programs: Path) -> UserManager:
    write(programs / "systemctl", 'echo "$@" >>"$0.log"; echo ActiveState=active; echo nonsense')
    write(programs / "journalctl", 'for last; do :; done; echo "the end of $last"')
    for path in ("var/lib/systemd/linger", f"run/user/{USER.pw_uid}/systemd"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "var/lib/systemd/linger" / USER.pw_name).touch()
    (tmp_path / f"run/user/{USER.pw_uid}/systemd/private").touch()
    return UserManager(tmp_path, f"{programs}:/usr/bin:/bin")


def write(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def asked(programs: Path) -> list[str]:
    lines = (programs / "systemctl.log").read_text().splitlines()
    return [line.removeprefix("--user --no-pager ") for line in lines]


def test_a_unit_is_written_down_and_started_now_and_at_boot(
    manager: UserManager, programs: Path
) -> None:
    manager.run("a.service", "text")
    manager.run("a.service", "text")

    assert manager.text("a.service") == "text"
    assert manager.texts("*.service") == ["text"]
    assert asked(programs) == 2 * ["enable --quiet --now a.service"]


def test_what_systemd_says_of_a_unit_is_read(manager: UserManager) -> None:
    assert manager.state("a.service") == {"ActiveState": "active"}
    assert manager.is_active("a.service")
    assert "a.service" in manager.said("a.service")


def test_ending_a_unit_leaves_nothing_and_may_be_repeated(
    manager: UserManager, programs: Path
) -> None:
    manager.run("a.service", "text")
    manager.restart("a.service")

    manager.end("a.service")
    manager.end("a.service")

    assert manager.text("a.service") is None
    assert asked(programs)[-3:] == [
        "restart a.service",
        "disable --quiet --now a.service",
        "daemon-reload",
    ]


def test_a_user_whose_services_would_end_with_the_login_is_told_what_to_do(
    manager: UserManager, tmp_path: Path
) -> None:
    (tmp_path / "var/lib/systemd/linger" / USER.pw_name).unlink()

    with pytest.raises(Refused, match=f"run `loginctl enable-linger {USER.pw_name}` as root"):
        manager.run("a.service", "text")


def test_a_host_without_a_manager_for_the_user_is_told_what_to_do(
    manager: UserManager, tmp_path: Path
) -> None:
    (tmp_path / f"run/user/{USER.pw_uid}/systemd/private").unlink()

    with pytest.raises(Refused, match="install libpam-systemd and dbus"):
        manager.run("a.service", "text")


def test_what_systemd_refuses_is_told(manager: UserManager, programs: Path) -> None:
    write(programs / "systemctl", "echo no such unit; exit 5")

    with pytest.raises(Refused, match=r"systemctl restart a\.service: no such unit"):
        manager.restart("a.service")


def test_a_host_without_systemd_is_told_so(manager: UserManager, programs: Path) -> None:
    (programs / "systemctl").unlink()
    bare = UserManager(programs.parent, str(programs))

    with pytest.raises(Refused, match="systemctl is missing: the host has to run systemd"):
        bare.restart("a.service")
    assert manager.text("a.service") is None


def test_a_systemd_that_hangs_is_given_up(
    manager: UserManager, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_manager, "_SECONDS", 0.05)
    write(programs / "systemctl", "exec sleep 60")

    with pytest.raises(Refused, match=r"did not end within 0\.05 s"):
        manager.restart("a.service")
