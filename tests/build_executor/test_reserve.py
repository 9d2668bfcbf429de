import errno
from pathlib import Path

import pytest

from build_executor.reserve import keep_reserve, with_reserve

RESERVE = ".reserve"


class Disk:
    """One that is full until the reserve below `root` is given up, or for ever."""

    def __init__(self, root: Path, *, is_lost: bool = False) -> None:
        self._root, self._is_lost = root, is_lost

    def write(self) -> str:
        if self._is_lost or (self._root / RESERVE).exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return "written"


def test_space_is_kept_back_once(tmp_path: Path) -> None:
    keep_reserve(tmp_path)
    keep_reserve(tmp_path)

    (file,) = tmp_path.iterdir()
    assert file.name == RESERVE
    assert file.stat().st_blocks * 512 >= 2**20


def test_where_none_can_be_kept_back_nothing_happens(tmp_path: Path) -> None:
    keep_reserve(tmp_path / "absent")

    assert list(tmp_path.iterdir()) == []


def test_what_can_be_written_leaves_the_reserve_alone(tmp_path: Path) -> None:
    keep_reserve(tmp_path)

    assert with_reserve(tmp_path, lambda: "written") == "written"

    assert (tmp_path / RESERVE).exists()


def test_on_a_full_disk_the_reserve_is_used(tmp_path: Path) -> None:
    keep_reserve(tmp_path)

    assert with_reserve(tmp_path, Disk(tmp_path).write) == "written"


def test_a_disk_that_stays_full_is_named(tmp_path: Path) -> None:
    disk = Disk(tmp_path, is_lost=True)

    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}'"):
        with_reserve(tmp_path, disk.write)


@pytest.mark.parametrize("first", [[], [errno.EDQUOT]])
def test_another_error_is_none_of_its_business(tmp_path: Path, first: list[int]) -> None:
    keep_reserve(tmp_path)
    errors = iter([*first, errno.EROFS])

    def write() -> None:
        raise OSError(next(errors), "cannot be written")

    with pytest.raises(OSError, match="cannot be written") as raised:
        with_reserve(tmp_path, write)

    assert raised.value.errno == errno.EROFS
