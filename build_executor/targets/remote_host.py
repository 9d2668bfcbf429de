"""What a production host is asked to do, by the program that is shipped to it (on_host/).

The program is put there once per version, whole or not at all. Each verb is one command with its
arguments in JSON on stdin, so nothing that a SPEC says ever becomes a word of a command line.
"""

import contextlib
import gzip
import hashlib
import io
import json
import socket
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from pydantic import TypeAdapter, ValidationError

import build_executor
from build_executor.errors import DeployLocked, DeploymentFailed
from build_executor.models import Value
from build_executor.targets.dependencies import Platform
from build_executor.targets.shell import Held, Said, Shell
from build_executor.targets.switch_process import forwarder_files

_PACKAGE = Path(build_executor.__file__).parent
_OLDEST_PYTHON = (3, 11)
_SECONDS = 15.0
_SURVEY = """
import json, os, platform, sys
root, tools = sys.argv[1:]
problem = ""
try:
    os.makedirs(root, mode=0o755, exist_ok=True)
except OSError as error:
    problem = str(error)
print(json.dumps({
    "python": list(sys.version_info[:2]), "executable": sys.executable,
    "machine": platform.machine(), "has_tools": os.path.isdir(tools),
    "problem": problem or ("" if os.access(root, os.W_OK) else "it is not writable"),
}))
"""
# Renamed into place at the end; a second shipper's rename fails, and finds it there.
_UNPACK = """
new="$1.new.$$"; trap 'rm -rf "$new"' EXIT
mkdir -p "$new" && tar -xzf - -C "$new" && { mv -T "$new" "$1" || test -d "$1"; }
"""


class Survey(Value):
    """What is to be known of a host before anything is done there."""

    python: tuple[int, int]
    executable: str
    machine: str
    has_tools: bool
    problem: str


class RemoteHost:
    """One host and the folder on it that belongs to us.

    Verbs raise DeploymentFailed with the host's reason, and DeployLocked when somebody else has,
    or has had, the deploy lock.
    """

    def __init__(self, shell: Shell, root: PurePosixPath) -> None:
        self.shell, self.root = shell, root
        self.fences: dict[str, int] = {}
        self._archive = _tools_archive()
        digest = hashlib.sha256(self._archive).hexdigest()[:16]
        self.tools = root / ".tools" / digest
        self._preparing = threading.Lock()
        self._survey: Survey | None = None
        self._talking = threading.Lock()
        self._conversation: tuple[Held, contextlib.ExitStack] | None = None

    @property
    def name(self) -> str:
        """How people call the host."""
        return self.shell.name

    @property
    def survey(self) -> Survey:
        """What the host is; our program is there afterwards."""
        with self._preparing:
            if self._survey is None:
                survey = self._surveyed()
                if not survey.has_tools:
                    self._ship_tools()
                self._survey = survey
        return self._survey

    @property
    def platform(self) -> Platform:
        """Which packages the host can run."""
        major, minor = self.survey.python
        return Platform(python=f"{major}.{minor}", machine=self.survey.machine)

    def fence(self, service: str) -> int:
        """The number of the last deploy lock that we had on the service."""
        return self.fences.get(service, 0)

    def ask(self, verb: str, *, seconds: float = _SECONDS, **order: object) -> dict[str, Any]:
        """What the host answers."""
        with self._talking:
            held = self._session()
            held.write(json.dumps([verb, order]).encode() + b"\n")
            line = held.line(seconds + _SECONDS)
            if not line:
                self.hang_up()
                raise self._lost(verb)
            return self._answer(verb, line, held)

    def send(
        self, verb: str, stream: BinaryIO, *, seconds: float, **order: object
    ) -> dict[str, Any]:
        """What the host answers; `stream` is sent after the arguments."""
        said = self.shell.run(self._argv(verb), stdin=(_line(order), stream), timeout=seconds)
        lines = [line for line in said.output.splitlines() if line.strip()]
        return self._answer(verb, lines[-1] if lines else "", None)

    @contextlib.contextmanager
    def locked(self, service: str, build_id: str, seconds: float) -> Iterator[tuple[Held, Any]]:
        """The deploy lock of a service and its state; freed when this process or its line ends."""
        order = {
            "service": service,
            "build": build_id,
            "host": socket.gethostname(),
            "seconds": seconds,
        }
        with self.shell.hold(self._argv("lock"), stdin=_line(order)) as held:
            line = held.line(seconds + _SECONDS)
            if not line:
                raise self._lost("lock")
            state = self._answer("lock", line, held)["state"]
            self.fences[service] = int(state["fence"])
            yield held, state

    def hang_up(self) -> None:
        """End the conversation; the next question begins another one."""
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            conversation[1].close()

    def _session(self) -> Held:
        """The conversation with the host's program: it starts once, and answers in milliseconds."""
        if self._conversation is None or not self._conversation[0].is_alive():
            self.hang_up()
            stack = contextlib.ExitStack()
            held = stack.enter_context(self.shell.hold(self._argv("serve"), stdin=b""))
            self._conversation = held, stack
        return self._conversation[0]

    def _lost(self, verb: str) -> DeploymentFailed:
        return DeploymentFailed(
            f"{self.name}: the connection was lost during `{verb}`;"
            " what was left there is removed by the roll-back"
        )

    def _argv(self, verb: str) -> tuple[str, ...]:
        program = (self.survey.executable, "-S", "-P", "-m", "build_executor.on_host")
        return ("env", f"PYTHONPATH={self.tools}", *program, str(self.root), verb)

    def _answer(self, verb: str, line: str, held: Held | None) -> dict[str, Any]:
        try:
            answer = TypeAdapter(dict[str, Any]).validate_json(line)
        except ValidationError as error:
            reason = (line + "".join(_rest(held))).strip()[-1000:] or "it said nothing"
            raise DeploymentFailed(f"{self.name}: `{verb}` failed: {reason}") from error
        if answer.get("ok"):
            return answer
        reason = f"{self.name}: {answer.get('error')}"
        raise DeployLocked(reason) if answer.get("kind") == "locked" else DeploymentFailed(reason)

    def _surveyed(self) -> Survey:
        argv = ("python3", "-I", "-S", "-c", _SURVEY, str(self.root), str(self.tools))
        said = self.shell.run(argv, timeout=_SECONDS)
        if said.status:
            raise DeploymentFailed(f"{self.name}: {_python_problem(said)}")
        survey = Survey.model_validate_json(said.output.splitlines()[-1])
        if survey.python < _OLDEST_PYTHON:
            found = "{}.{}".format(*survey.python)
            raise DeploymentFailed(f"{self.name}: python3 is {found}: 3.11 or newer is needed")
        if survey.problem:
            raise DeploymentFailed(
                f"{self.name}: {survey.problem}: make {self.root} a folder of the user who"
                " deploys, or set PRODUCTION_ROOT"
            )
        return survey

    def _ship_tools(self) -> None:
        argv = ("sh", "-c", _UNPACK, "unpack", str(self.tools))
        said = self.shell.run(argv, stdin=(self._archive,), timeout=_SECONDS)
        if said.status:
            reason = said.output.strip()[-500:] or f"exit status {said.status}"
            raise DeploymentFailed(f"{self.name}: cannot write to {self.root}: {reason}")


def _python_problem(said: Said) -> str:
    if said.status == 127:  # noqa: PLR2004 - what a shell says of a missing command
        return "python3 is missing: install Python 3.11 or newer"
    return f"python3 does not work: {said.output.strip()[-500:]}"


def _rest(held: Held | None) -> Iterator[str]:
    """What a program says that dies of an error of its own."""
    while held is not None and (line := held.line(1)):
        yield line


def _line(order: dict[str, object]) -> bytes:
    return json.dumps(order).encode() + b"\n"


def _tools_archive() -> bytes:
    """The program and the forwarder as a tar.gz; the same sources give the same bytes."""
    sources = (
        *(_PACKAGE / name for name in ("files.py", "plain_files.py", "ports.py", "reserve.py")),
        *(_PACKAGE / "on_host").glob("*.py"),
    )
    files = {str(file.relative_to(_PACKAGE.parent)): file.read_bytes() for file in sources}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in sorted({**files, **forwarder_files()}.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)
