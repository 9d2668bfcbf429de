"""Bubblewrap: namespaces without a daemon, for root and for an ordinary user.

What is done, and the trap that each part answers:

- bwrap itself gets a clean environment: `--clearenv` alone leaves our secrets readable in
  `/proc/1/environ` of the sandbox (containers/bubblewrap#725).
- Root becomes another user first. Limits on processes do not bind root, not even in a user
  namespace of its own. That user cannot reach folders such as `/root`, so an outer bwrap, as root,
  shows it exactly the paths that the inner one may bind.
- Parents of bound paths are made with mode 0755: bwrap 0.8 makes them 0700, for their owner only.
- The process limit is set inside, where the kernel counts the namespace's processes and not all
  those of the user.
- A PID namespace and `--die-with-parent`: nothing survives a kill, and nothing can leave the group.
  The outer bwrap needs one as well: it is root without capabilities, so its death is no signal that
  the kernel would let it send to another user's process. With it come the right /proc, and beside
  that the machine's: bwrap covers parts of its own, and the kernel lets an ordinary user mount a
  /proc only where a whole one is to be seen. The sandbox sees neither.
"""

import os
import subprocess  # noqa: TID251 - the type of a running process; nothing is started here
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from build_executor import command
from build_executor.command import Finished
from build_executor.sandbox.confinement import Confinement, Limits

_SANDBOX_UID = 64001  # belongs to nobody; systems give users numbers below 60000
_SYSTEM = ("/usr",)
_SYSTEM_LINKS = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")  # folders of their own on some
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime")
_NETWORK_FILES = ("/etc/resolv.conf",)
_MOUNT_POINT = Path("/tmp/newroot")  # noqa: S108 - bwrap builds the new root below its own /tmp
_WHOLE_PROC = "/.proc"
_TMP_BYTES = 64 * 1024 * 1024
_PROBE_SECONDS = 10
_LASTING_SECONDS = 10**9
_LASTING_FILE_BYTES = 4 * 1024**3
_LASTING_OPEN_FILES = 4096


class Bubblewrap:
    """Sees its own folders, an empty /tmp and the system read-only; has no network but loopback."""

    name = "bubblewrap"
    fit_for_untrusted = True

    def __init__(
        self, binary: str = "bwrap", limits: Limits | None = None, *, as_root: bool | None = None
    ) -> None:
        self._binary = binary
        self._as_root = os.geteuid() == 0 if as_root is None else as_root
        self._limits = limits or Limits()

    def probe(self) -> None:
        """Run nothing in it, once; CommandFailed with the reason if that is not possible here."""
        self.run(["true"], Confinement(workdir=Path("/usr")), timeout=_PROBE_SECONDS)

    def run(self, argv: Sequence[str], confinement: Confinement, *, timeout: float) -> Finished:
        """The command's output; CommandFailed if it fails or takes too long; nothing survives."""
        wrapped = self._wrapped(argv, confinement, self._limits.within(timeout))
        return command.run(wrapped, timeout=timeout)

    def start(
        self, argv: Sequence[str], confinement: Confinement, *, log: Path
    ) -> subprocess.Popen[bytes]:
        """The running command, its output in `log`."""
        return command.start(self._wrapped(argv, confinement, self._limits), log=log)

    def service_argv(self, argv: Sequence[str], confinement: Confinement) -> tuple[str, ...]:
        """The argv of a service that others start and keep: its time is not limited."""
        lasting = {
            "cpu_seconds": _LASTING_SECONDS,
            "file_bytes": _LASTING_FILE_BYTES,
            "open_files": _LASTING_OPEN_FILES,
        }
        for folder in confinement.writable if self._as_root else ():
            for path in folder.rglob("*"):
                os.chown(path, _SANDBOX_UID, _SANDBOX_UID, follow_symlinks=False)
        return self._wrapped(argv, confinement, self._limits.model_copy(update=lasting))

    def _wrapped(
        self, argv: Sequence[str], confinement: Confinement, limits: Limits
    ) -> tuple[str, ...]:
        if self._as_root:
            for folder in confinement.writable:
                os.chown(folder, _SANDBOX_UID, _SANDBOX_UID)
        inner = inner_argv(self._binary, confinement, limits)
        outer = outer_argv(self._binary, confinement) if self._as_root else ()
        return (*outer, *inner, *argv)


def inner_argv(binary: str, confinement: Confinement, limits: Limits) -> tuple[str, ...]:
    """The sandbox itself, as an ordinary user starts it; the command's argv follows."""
    environment = command.clean_environment(confinement.environment)
    variables = [word for item in environment.items() for word in ("--setenv", *item)]
    return (
        *(binary, "--unshare-all", "--unshare-user", "--disable-userns"),
        *(("--share-net",) if confinement.host_network else ()),
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "sandbox"),
        *("--proc", "/proc", "--dev", "/dev", "--size", str(_TMP_BYTES), "--tmpfs", "/tmp"),  # noqa: S108 - the sandbox's own
        *_binds(confinement),
        *("--clearenv", *variables, "--chdir", str(confinement.workdir), "--"),
        *("prlimit", f"--nproc={limits.processes}", f"--as={limits.memory_bytes}"),
        *(f"--fsize={limits.file_bytes}", f"--nofile={limits.open_files}"),
        *(f"--cpu={limits.cpu_seconds}", "--core=0", "--"),
    )


def outer_argv(binary: str, confinement: Confinement) -> tuple[str, ...]:
    """What root starts: it shows another user the paths, and becomes that user."""
    user = str(_SANDBOX_UID)
    return (
        *(binary, "--unshare-pid", "--die-with-parent"),
        *("--dev-bind", "/dev", "/dev", "--proc", "/proc", "--bind", "/proc", _WHOLE_PROC),
        *_binds(confinement),
        *("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--"),
        *("setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--"),
    )


def _binds(confinement: Confinement) -> tuple[str, ...]:
    files = (*_SYSTEM_FILES, *(_NETWORK_FILES if confinement.host_network else ()))
    readable = (*_interpreter(), *confinement.readable, confinement.workdir)
    shown = [path for path in readable if not _is_below(path, (*_SYSTEM, *confinement.writable))]
    bound = [*shown, *confinement.writable]
    return (
        *_mounts("--ro-bind", _SYSTEM),
        *system_links(_SYSTEM_LINKS),
        *_parents([*bound, *map(Path, files), _MOUNT_POINT]),
        *_mounts("--ro-bind-try", files),
        *_mounts("--ro-bind", shown),
        *_mounts("--bind", confinement.writable),
    )


def _mounts(kind: str, paths: Iterable[Path | str]) -> Iterable[str]:
    for path in paths:
        yield from (kind, str(path), str(path))


def system_links(paths: Iterable[str]) -> Iterable[str]:
    """The folders beside /usr as this system has them: links into it, folders, or none."""
    for path in map(Path, paths):
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.exists():
            yield from _mounts("--ro-bind", [path])


def _interpreter() -> tuple[Path, ...]:
    """Where this Python lives, also below a home folder; environments are made from the same."""
    prefix = Path(sys.base_prefix)
    return tuple(dict.fromkeys((prefix, prefix.resolve())))


def _is_below(path: Path, folders: Iterable[Path | str]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _parents(paths: Iterable[Path]) -> Iterable[str]:
    parents = {parent for path in paths for parent in path.parents} - {Path("/")}
    for parent in sorted(parents):
        if not _is_below(parent, _SYSTEM):
            yield from ("--perms", "0755", "--dir", str(parent))
