"""Files appear whole or not at all, whatever is killed while they are written."""

import os
import secrets
import shutil
import stat
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put `content` at `path` by rename, durably; creates missing parent folders (mode 0700)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_path(path: Path) -> None:
    """Remove a file, a folder with all that is in it, or a link; nothing if it is gone already."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_at_once(folder: Path) -> None:
    """Remove a folder, in one step as far as others can see: they find all of it, or nothing."""
    doomed = folder.with_name(f".{folder.name.lstrip('.')}.{secrets.token_hex(4)}")
    shutil.rmtree(folder.rename(doomed))


def switch_link(link: Path, target: Path | None) -> None:
    """Point a symlink at `target` by rename; None takes it away."""
    if target is None:
        link.unlink(missing_ok=True)
        return
    new = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    new.symlink_to(target)
    new.replace(link)


def read_untrusted(path: Path, limit: int) -> bytes | None:
    """At most `limit` bytes of a regular file that generated code may have put there.

    None if there is none: a link is not followed, and nothing is waited for at a pipe.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(limit)
