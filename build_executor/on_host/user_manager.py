"""systemd's manager of this user's own units: services without any right of root.

The user's units outlive the login and come back after a reboot if lingering is on for the user,
which is the one thing that an administrator has to allow, once.
"""

import os
import pwd
import subprocess  # noqa: TID251 - command.py needs packages that this host does not have
from pathlib import Path
from typing import Protocol

from build_executor.files import write_atomically
from build_executor.on_host.places import Refused

_SECONDS = 25.0
_UNITS = Path(".config/systemd/user")
_LINGER = "var/lib/systemd/linger"
_PROGRAMS = "/usr/local/bin:/usr/bin:/bin"
_LOG_TAIL = 1500


class Manager(Protocol):
    """Keeps units running, also after a crash and after a reboot."""

    def check(self) -> None:
        """Refused, saying what to do, where units would not be kept."""
        ...

    def text(self, unit: str) -> str | None:
        """The unit as it is written down; None if there is none."""
        ...

    def texts(self, pattern: str) -> list[str]:
        """All units whose names are like this, as they are written down."""
        ...

    def state(self, unit: str) -> dict[str, str]:
        """What systemd says of the unit: ActiveState, Result, NRestarts."""
        ...

    def is_active(self, unit: str) -> bool:
        """Whether the unit runs now."""
        ...

    def run(self, unit: str, text: str) -> None:
        """Write the unit down and keep it running, now and after a reboot."""
        ...

    def forgive(self, unit: str) -> None:
        """Forget that the unit failed or was restarted."""
        ...

    def restart(self, unit: str) -> None:
        """End the unit and start it as it is written down now."""
        ...

    def end(self, unit: str) -> None:
        """Stop the unit for good; nothing happens if there is none."""
        ...

    def said(self, unit: str, limit: int = ...) -> str:
        """The end of what the unit's own processes wrote."""
        ...


class UserManager:
    """Units of this user; Refused when systemd does not do what it is asked.

    `root` is where the host's files are, `programs` where its commands are looked for.
    """

    def __init__(self, root: Path = Path("/"), programs: str = _PROGRAMS) -> None:
        self._user = pwd.getpwuid(os.getuid())
        self._runtime = root / f"run/user/{self._user.pw_uid}"
        self._home = root / self._user.pw_dir.removeprefix("/")
        self._linger = root / _LINGER / self._user.pw_name
        self._programs = programs

    def check(self) -> None:
        """Refused, saying what to do, where units would end with the login."""
        name = self._user.pw_name
        if not self._linger.exists():
            raise Refused(
                f"services of {name} would end when it logs out:"
                f" run `loginctl enable-linger {name}` as root once"
            )
        if not (self._runtime / "systemd/private").exists():
            raise Refused(f"systemd runs no manager for {name}: install libpam-systemd and dbus")

    def file(self, unit: str) -> Path:
        """Where the unit is written down, or would be."""
        return self._home / _UNITS / unit

    def text(self, unit: str) -> str | None:
        """The unit as it is written down; None if there is none."""
        try:
            return self.file(unit).read_text()
        except FileNotFoundError:
            return None

    def texts(self, pattern: str) -> list[str]:
        """All units whose names are like this, as they are written down."""
        return [file.read_text() for file in self.file("").glob(pattern)]

    def state(self, unit: str) -> dict[str, str]:
        """What systemd says of the unit: ActiveState, Result, NRestarts."""
        shown = self._systemctl("show", unit, "-p", "ActiveState,SubState,Result,NRestarts")
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def is_active(self, unit: str) -> bool:
        """Whether the unit runs now."""
        return self.state(unit).get("ActiveState") == "active"

    def run(self, unit: str, text: str) -> None:
        """Write the unit down and keep it running, now and after a reboot."""
        self.check()
        if self.text(unit) != text:
            write_atomically(self.file(unit), text.encode(), mode=0o644)
        self._systemctl("enable", "--quiet", "--now", unit)  # reads what is written, too

    def forgive(self, unit: str) -> None:
        """Forget that the unit failed or was restarted."""
        self._systemctl("reset-failed", unit)

    def restart(self, unit: str) -> None:
        """End the unit and start it as it is written down now."""
        self._systemctl("restart", unit)

    def end(self, unit: str) -> None:
        """Stop the unit for good; nothing happens if there is none."""
        if self.text(unit) is None:
            return
        self._systemctl("disable", "--quiet", "--now", unit)
        self.file(unit).unlink(missing_ok=True)
        self._systemctl("daemon-reload")

    def said(self, unit: str, limit: int = _LOG_TAIL) -> str:
        """The end of what the unit's own processes wrote."""
        lines = ("-n", str(limit // 10), "-o", "cat", "--no-pager", "-q")
        output = self._run(["journalctl", "--user", *lines, f"_SYSTEMD_USER_UNIT={unit}"])[1]
        return output.strip()[-limit:]

    def _systemctl(self, *words: str) -> str:
        status, output = self._run(["systemctl", "--user", "--no-pager", *words])
        if status:
            raise Refused(f"systemctl {' '.join(words)}: {output.strip()[-500:]}")
        return output

    def _run(self, argv: list[str]) -> tuple[int, str]:
        environment = {
            "PATH": self._programs,
            "XDG_RUNTIME_DIR": str(self._runtime),
            "LC_ALL": "C.UTF-8",
        }
        try:
            done = subprocess.run(  # noqa: S603 - an argv list, no shell
                argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            raise Refused(f"{argv[0]} is missing: the host has to run systemd") from error
        except subprocess.TimeoutExpired as error:
            raise Refused(f"{' '.join(argv[:4])} did not end within {_SECONDS:g} s") from error
        return done.returncode, done.stdout.decode(errors="replace")
