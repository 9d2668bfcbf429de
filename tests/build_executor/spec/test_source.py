import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from build_executor.errors import SpecUnreadable
from build_executor.spec.source import (
    LARGEST_SPEC,
    keep_source,
    load_source,
    open_by_component,
    read_source,
)

CANARY = "not for you"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "SPEC.md").write_text("# shop")
    (tmp_path / "outside.md").write_text(CANARY)
    return folder


def test_a_spec_is_read_by_its_absolute_path_or_relative_to_a_root(root: Path) -> None:
    absolute = read_source(str(root / "shop" / "SPEC.md"), [root])
    relative = read_source("shop/SPEC.md", [root.parent / "elsewhere", root])

    assert absolute == relative
    assert absolute.text == "# shop"


def test_a_byte_order_mark_is_no_part_of_the_text(root: Path) -> None:
    (root / "bom.md").write_bytes(b"\xef\xbb\xbf# shop")

    source = read_source("bom.md", [root])

    keep_source(source, root)

    assert source.text == "# shop"
    assert load_source(source.digest, root) == source


def link(root: Path) -> str:
    (root / "link.md").symlink_to(root.parent / "outside.md")
    return "link.md"


def linked_folder(root: Path) -> str:
    (root / "folder").symlink_to(root.parent)
    return "folder/outside.md"


def fifo(root: Path) -> str:
    os.mkfifo(root / "pipe.md")
    return "pipe.md"


def too_large(root: Path) -> str:
    (root / "large.md").write_bytes(b"x" * (LARGEST_SPEC + 1))
    return "large.md"


def binary(root: Path) -> str:
    (root / "binary.md").write_bytes(b"\xff\xfe\x00\x01")
    return "binary.md"


def with_nul(root: Path) -> str:
    (root / "nul.md").write_bytes(b"# a\0b")
    return "nul.md"


@pytest.mark.parametrize(
    "path",
    [
        link,
        linked_folder,
        fifo,
        too_large,
        binary,
        with_nul,
        lambda _: "../outside.md",
        lambda _: "shop/../../outside.md",
        lambda root: str(root.parent / "outside.md"),
        lambda _: "/proc/self/environ",
        lambda _: "/dev/zero",
        lambda _: "shop",
        lambda _: "missing.md",
        lambda _: "",
        lambda _: "shop/SPEC.md\0.png",
        lambda _: "a\nb.md",
        lambda _: "x" * 2000,
    ],
    ids=str,
)
def test_nothing_but_a_text_file_inside_a_root_is_read(
    root: Path, path: Callable[[Path], str]
) -> None:
    with pytest.raises(SpecUnreadable) as refused:
        read_source(path(root), [root])

    assert CANARY not in str(refused.value)


def test_missing_and_forbidden_are_told_in_the_same_words(root: Path) -> None:
    def words(path: str) -> str:
        with pytest.raises(SpecUnreadable) as refused:
            read_source(path, [root])
        return str(refused.value).replace(path, "")

    assert words("/etc/shadow") == words("/etc/nothing-here") == words("missing.md")


def test_a_link_that_is_swapped_in_while_reading_leaks_nothing(root: Path) -> None:
    path, stop = root / "race.md", threading.Event()

    def swap() -> None:
        while not stop.is_set():
            path.unlink(missing_ok=True)
            path.write_text("# fine")
            path.unlink()
            path.symlink_to(root.parent / "outside.md")

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = set()
    for _ in range(3000):
        try:
            seen.add(read_source("race.md", [root]).text)
        except SpecUnreadable:
            continue
    stop.set()
    swapper.join()

    assert CANARY not in seen


@pytest.mark.parametrize("path", ["folder/outside.md", "link.md", "none/x.md"])
def test_without_openat2_links_are_refused_too(root: Path, path: str) -> None:
    link(root)
    linked_folder(root)
    folder = os.open(root, os.O_RDONLY)

    with pytest.raises(OSError):  # noqa: PT011 - each has another number
        os.close(open_by_component(folder, path))

    os.close(folder)


def test_without_openat2_a_file_in_a_folder_is_opened(root: Path) -> None:
    folder = os.open(root, os.O_RDONLY)

    descriptor = open_by_component(folder, "shop/SPEC.md")

    assert os.read(descriptor, 100) == b"# shop"
    os.close(descriptor)
    os.close(folder)


def test_a_kept_source_is_the_same_when_it_is_loaded(root: Path, tmp_path: Path) -> None:
    source = read_source("shop/SPEC.md", [root])
    keep_source(source, tmp_path / "specs")
    keep_source(source, tmp_path / "specs")

    assert load_source(source.digest, tmp_path / "specs") == source


def test_a_kept_source_that_was_changed_is_refused(root: Path, tmp_path: Path) -> None:
    source = read_source("shop/SPEC.md", [root])
    keep_source(source, tmp_path)
    (tmp_path / f"{source.digest}.md").write_text("# another")

    with pytest.raises(SpecUnreadable, match="damaged"):
        load_source(source.digest, tmp_path)


@pytest.mark.parametrize("digest", ["0" * 64, "../../etc/passwd", "0" * 63, "." * 64])
def test_an_unknown_digest_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(SpecUnreadable):
        load_source(digest, tmp_path)
