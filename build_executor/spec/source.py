"""Reading a SPEC that somebody else names: once, beneath a root, and nothing but a text file.

A path is resolved by the kernel beneath the root's descriptor and without any symbolic link, so
there is no moment between the check and the use. Missing and forbidden files are refused with the
same words: the answer does not tell what exists elsewhere.
"""

import ctypes
import errno
import hashlib
import os
import platform
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from build_executor.errors import SpecUnreadable
from build_executor.files import write_atomically
from build_executor.models import Value

LARGEST_SPEC = 256 * 1024
_OPENAT2 = 437
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_KNOWN_MACHINES = frozenset({"x86_64", "aarch64", "riscv64"})
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_ABSENT = "no readable SPEC at this path inside the allowed folders"
_DIGEST_LENGTH = 64


class SpecSource(Value):
    """A SPEC's text, and the SHA-256 of its bytes."""

    text: str
    digest: str


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def read_source(spec_path: str, roots: Sequence[Path]) -> SpecSource:
    """The SPEC at a path beneath one of the roots; a relative path is tried beneath each.

    SpecUnreadable if there is none, if it is no regular file, too large, or no text in UTF-8.
    """
    descriptor = _open_beneath_any(spec_path, roots)
    try:
        content = _content(descriptor)
    finally:
        os.close(descriptor)
    text = _text(content)
    return SpecSource(text=text, digest=hashlib.sha256(text.encode()).hexdigest())


def keep_source(source: SpecSource, specs: Path) -> None:
    """Keep a SPEC under its digest, so that a build reads what was submitted."""
    path = _snapshot(source.digest, specs)
    if not path.exists():
        write_atomically(path, source.text.encode())


def load_source(digest: str, specs: Path) -> SpecSource:
    """The kept SPEC with this digest; SpecUnreadable if there is none or it was changed."""
    try:
        content = _snapshot(digest, specs).read_bytes()
    except OSError:
        raise SpecUnreadable("this SPEC was not kept") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise SpecUnreadable("the kept SPEC is damaged")
    return SpecSource(text=_text(content), digest=digest)


def _snapshot(digest: str, specs: Path) -> Path:
    if len(digest) != _DIGEST_LENGTH or not set(digest) <= set("0123456789abcdef"):
        raise SpecUnreadable("not a SPEC's digest")
    return specs / f"{digest}.md"


def _open_beneath_any(spec_path: str, roots: Sequence[Path]) -> int:
    if "\0" in spec_path:
        raise SpecUnreadable(_ABSENT)
    for root in roots:
        relative = _relative(spec_path, root)
        if relative is None:
            continue
        descriptor = _open_beneath(root, relative)
        if descriptor is not None:
            return descriptor
    raise SpecUnreadable(_ABSENT)


def _relative(spec_path: str, root: Path) -> str | None:
    path = PurePosixPath(spec_path)
    if ".." in path.parts:
        return None
    if not path.is_absolute():
        return str(path)
    for candidate in (root, Path(os.path.realpath(root))):
        if path.is_relative_to(candidate):
            return str(path.relative_to(candidate))
    return None


def _open_beneath(root: Path, relative: str) -> int | None:
    try:
        anchor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _open_at(anchor, relative)
    except (OSError, ValueError):  # ValueError: a path that cannot be encoded
        return None
    finally:
        os.close(anchor)


def _open_at(anchor: int, relative: str) -> int:
    try:
        return _openat2(anchor, relative)
    except OSError as error:
        if error.errno not in {errno.ENOSYS, errno.EPERM}:
            raise
    return open_by_component(anchor, relative)


def _openat2(anchor: int, relative: str) -> int:
    """The kernel's own resolution beneath a folder (Linux 5.6)."""
    if platform.machine() not in _KNOWN_MACHINES:
        raise OSError(errno.ENOSYS, "openat2 has another number here")
    how = _OpenHow(_FLAGS, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(
        _OPENAT2, anchor, os.fsencode(relative), ctypes.byref(how), ctypes.sizeof(how)
    )
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(descriptor)


def open_by_component(anchor: int, relative: str) -> int:
    """The same, one component after the other, for kernels without openat2."""
    parts = PurePosixPath(relative).parts
    folder = os.dup(anchor)
    try:
        for part in parts[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(part, flags, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(parts[-1], _FLAGS | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)


def _content(descriptor: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise SpecUnreadable(_ABSENT)
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        content = stream.read(LARGEST_SPEC + 1)
    if len(content) > LARGEST_SPEC:
        raise SpecUnreadable("the SPEC is larger than 256 KiB")
    return content


def _text(content: bytes) -> str:
    if b"\0" in content:
        raise SpecUnreadable("the SPEC is not a text: it holds NUL bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecUnreadable(f"the SPEC is not a text in UTF-8: byte {error.start}") from None
