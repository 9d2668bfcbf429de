"""Archives are unpacked here, and only plain files come out of them."""

from pathlib import Path

from build_executor.errors import UnsafeArchive
from build_executor.plain_files import NotPlain, unpack

MOST_FILES = 10_000
MOST_BYTES = 64 * 1024 * 1024


def extract(archive: Path, folder: Path) -> None:
    """Put the files of a tar.gz below `folder`, readable for everybody.

    UnsafeArchive, before anything is written, for a path that leads out of `folder`, for what is
    neither a file nor a folder, for more than 10,000 entries or 64 MiB, and for what is no tar.gz.
    """
    try:
        unpack(archive, folder, most_files=MOST_FILES, most_bytes=MOST_BYTES)
    except NotPlain as error:
        raise UnsafeArchive(str(error)) from error
    except OSError as error:
        raise UnsafeArchive(f"cannot unpack {archive.name}: {error}") from error
