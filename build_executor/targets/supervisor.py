"""Processes that outlive whoever started them and come back when they crash: supervisord.

One supervisord serves one folder. A program is one file in it, written whole; starting supervisord
brings all of them back, after a reboot too. When it is killed its programs go on, and it is back
at once. It is reached over a unix socket that only this user can open.
"""

import contextlib
import fcntl
import http.client
import re
import shlex
import sys
import time
import xmlrpc.client
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil
from pydantic import Field

from build_executor import command
from build_executor.errors import DeploymentFailed, InvalidSettings
from build_executor.files import write_atomically
from build_executor.models import Value
from build_executor.targets.processes import end, lives
from build_executor.targets.unix_sockets import UnixTransport, socket_path

ABSENT = "ABSENT"
FAILED_STATES = frozenset({"BACKOFF", "FATAL", "EXITED", "UNKNOWN"})
_UP_STATES = frozenset({"STARTING", "RUNNING"})
_RUNNING = 1  # supervisord's own statecode
_START_SECONDS = 20.0
_POLL_SECONDS = 0.02
_NO_ANSWER = (OSError, http.client.HTTPException, xmlrpc.client.Error)
_DAEMON = Path(__file__).with_name("supervisor_daemon.py")
_PLAIN_PATH = re.compile(r"[\w/.@+=~ -]+")  # supervisord's files know no way to quote the others


class Program(Value):
    """A command that is kept running; `environment` is added to the supervisor's own."""

    name: str = Field(pattern=r"^[A-Za-z0-9._@-]+$")
    argv: tuple[str, ...]
    directory: Path
    log: Path
    environment: dict[str, str] = Field(default_factory=dict)
    stop_seconds: int = 10
    is_first: bool = Field(default=False, description="starts before the others, stops after them")

    def render(self) -> str:
        """The program as a section of supervisord's configuration."""
        environment = ",".join(f'{key}="{value}"' for key, value in self.environment.items())
        text = f"""[program:{self.name}]
command={shlex.join(self.argv)}
directory={self.directory}
environment={environment}
priority={1 if self.is_first else 999}
autorestart=true
startsecs=1
startretries=10
stopsignal=TERM
stopwaitsecs={self.stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile={self.log}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""
        return text.replace("%", "%%")


class Supervisor:
    """The supervisord of one folder; every verb may be repeated and may run in several processes.

    DeploymentFailed if supervisord does not do what it is asked.
    """

    def __init__(self, folder: Path) -> None:
        if not _PLAIN_PATH.fullmatch(str(folder)):
            raise InvalidSettings(f"the path has characters that supervisord cannot read: {folder}")
        self.folder = folder
        self._config = folder / "supervisord.conf"
        self._programs, self._all_alive = folder / "programs", folder / "alive"
        self._socket = socket_path(folder, "supervisor.sock")

    def is_running(self) -> bool:
        """Whether supervisord answers."""
        try:
            return bool(self._call("getState")["statecode"] == _RUNNING)
        except _NO_ANSWER:
            return False

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start supervisord, and with it all its programs, unless it runs already.

        `environment` is the whole environment of the programs (default: a clean one).
        """
        with self._locked():
            if not self.is_running():
                self._launch(environment)

    def shut_down(self) -> None:
        """End all programs and supervisord; they come back with the next `start`."""
        if not self.folder.exists():
            return
        with self._locked():
            with contextlib.suppress(*_NO_ANSWER):
                self._call("stopAllProcesses")  # at once; `shutdown` alone: one a second
                self._call("shutdown")
            while daemons := self._daemons():  # one may have been started again just now
                end(daemons)
            end(self._mine())

    def ensure(self, program: Program) -> None:
        """Keep this program running; one of its name that is configured otherwise is replaced."""
        self.start()
        with self._locked():
            file = self._file(program.name)
            text = program.render().encode()
            if (
                file.exists()
                and file.read_bytes() == text
                and self.state(program.name) in _UP_STATES
            ):
                return
            self._remove(program.name)
            program.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(file, text)
            try:
                self._call("reloadConfig")
                self._call("addProcessGroup", program.name)
            except _NO_ANSWER:
                file.unlink()  # a file that is refused would be in the way of all others
                raise

    def forget(self, name: str) -> None:
        """End this program for good; returns when its process is gone."""
        file = self._file(name)
        if not file.exists() and not self.is_running():
            return
        file.unlink(missing_ok=True)  # first, so that nothing brings it back from here on
        self.start()
        with self._locked():
            self._remove(name)

    def state(self, name: str) -> str:
        """Supervisord's word for the program's state, or ABSENT."""
        try:
            return str(self._call("getProcessInfo", name)["statename"])
        except _NO_ANSWER:
            return ABSENT

    def pid(self, name: str) -> int:
        """The program's process; 0 if it has none now.

        While one lives that a killed supervisord left behind, it is that one.
        """
        try:
            named = self._named(name)
            if named is not None and not lives(named):
                return 0
            if named is not None and self._is_mine(named):
                return int(named.pid)
            return int(str(self._call("getProcessInfo", name)["pid"]))
        except (*_NO_ANSWER, psutil.NoSuchProcess):
            return 0

    def definition(self, name: str) -> str | None:
        """The program as it is written down; None if nothing of this name is kept running."""
        try:
            return self._file(name).read_text()
        except FileNotFoundError:
            return None

    def programs(self) -> list[str]:
        """The names of all programs that are kept running."""
        return sorted(file.stem for file in self._programs.glob("*.conf"))

    def _file(self, name: str) -> Path:
        return self._programs / f"{name}.conf"

    def _remove(self, name: str) -> None:
        left = self._left(name)
        if self.state(name) != ABSENT:
            with contextlib.suppress(xmlrpc.client.Error):  # it is not running
                self._call("stopProcess", name)
            self._call("removeProcessGroup", name)
        end(left)
        (self._all_alive / name).unlink(missing_ok=True)

    def _named(self, name: str) -> psutil.Process | None:
        """The last process that had the program's lock, if any ever had; perhaps it is over."""
        try:
            return psutil.Process(int((self._all_alive / name).read_text()))
        except (FileNotFoundError, ValueError):
            return None

    def _left(self, name: str) -> list[psutil.Process]:
        """The process that has the program's lock."""
        with contextlib.suppress(psutil.NoSuchProcess):
            named = self._named(name)
            return [named] if named is not None and self._is_mine(named) else []
        return []

    def _call(self, method: str, *arguments: object) -> dict[str, object]:
        transport = UnixTransport(self._socket)
        with xmlrpc.client.ServerProxy("http://supervisor", transport=transport) as server:
            answer: dict[str, object] = getattr(server.supervisor, method)(*arguments)
        return answer

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._programs.mkdir(exist_ok=True, mode=0o700)
        self._all_alive.mkdir(exist_ok=True, mode=0o700)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            except _NO_ANSWER as error:
                raise DeploymentFailed(f"the supervisor of {self.folder}: {error}") from error

    def _launch(self, environment: Mapping[str, str] | None) -> None:
        """Programs outlive a supervisord that was killed: those it starts wait for them to end."""
        write_atomically(self._config, self._render().encode())
        log = self.folder / "start.log"
        log.unlink(missing_ok=True)
        command.start_detached(self._argv(), log=log, cwd=self.folder, environment=environment)
        deadline = time.monotonic() + _START_SECONDS
        while not self.is_running():
            if time.monotonic() > deadline:
                raise DeploymentFailed(f"supervisord does not start: {log.read_text()[-500:]}")
            time.sleep(_POLL_SECONDS)

    def _argv(self) -> Sequence[str]:
        return (sys.executable, "-I", str(_DAEMON), "-c", str(self._config))

    def _render(self) -> str:
        text = f"""[supervisord]
nodaemon=true
silent=true
logfile={self.folder}/supervisord.log
logfile_maxbytes=10MB
logfile_backups=2
pidfile={self.folder}/supervisord.pid
childlogdir={self.folder}
umask=077

[unix_http_server]
file={self._socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

"""
        return text.replace("%", "%%") + "[include]\nfiles=programs/*.conf\n"

    def _daemons(self) -> list[psutil.Process]:
        """Supervisord, and before it the process that starts it again."""
        argv = list(self._argv())
        running = psutil.process_iter(["cmdline"])
        return [process for process in running if process.info["cmdline"] == argv]

    def _mine(self) -> list[psutil.Process]:
        """All that was started by a supervisord of this folder, whether that one lives or not."""
        return [process for process in psutil.process_iter() if self._is_mine(process)]

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("SUPERVISOR_SERVER_URL") == f"unix://{self._socket}"
        except (psutil.Error, OSError):
            return False
