import hashlib
import os
from pathlib import Path

import pytest

from build_executor.errors import SpecUnreadable
from build_executor.spec import source as module
from build_executor.spec.source import (
    LARGEST_SPEC,
    keep_source,
    load_source,
    open_by_component,
    read_source,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "SPEC.md").write_text("# a service\n")
    (tmp_path / "secret.md").write_text("# secret\n")
    return folder


def refusal(path: str, *roots: Path) -> str:
    with pytest.raises(SpecUnreadable) as caught:
        read_source(path, roots)
    return str(caught.value)


def test_a_spec_is_read_with_the_digest_of_its_bytes(root: Path) -> None:
    source = read_source(str(root / "inner" / "SPEC.md"), [root])

    assert source.text == "# a service\n"
    assert source.digest == hashlib.sha256(b"# a service\n").hexdigest()


def test_a_relative_path_is_tried_beneath_each_root(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()

    assert read_source("inner/SPEC.md", [other, root]).text == "# a service\n"


def test_a_root_may_itself_be_a_link(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)

    assert read_source(str(root / "inner" / "SPEC.md"), [link]).text == "# a service\n"


def test_a_byte_order_mark_is_no_part_of_the_text(root: Path) -> None:
    (root / "bom.md").write_bytes(b"\xef\xbb\xbf# a service\n")

    assert read_source("bom.md", [root]).text == "# a service\n"


def test_missing_and_forbidden_are_refused_with_the_same_words(root: Path, tmp_path: Path) -> None:
    (root / "link.md").symlink_to(tmp_path / "secret.md")
    (root / "linked").symlink_to(tmp_path)

    words = {
        refusal("missing.md", root),
        refusal("../secret.md", root),
        refusal(str(tmp_path / "secret.md"), root),
        refusal("link.md", root),
        refusal("linked/secret.md", root),
        refusal("inner", root),
        refusal("nul\0.md", root),
        refusal("surrogate\udcff\ud800.md", root),
        refusal("x.md", tmp_path / "no-such-root"),
        refusal("x.md"),
    }

    assert len(words) == 1


def test_a_named_pipe_is_refused_without_waiting_for_a_writer(root: Path) -> None:
    os.mkfifo(root / "pipe.md")

    assert "no readable SPEC" in refusal("pipe.md", root)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"#" * (LARGEST_SPEC + 1), "larger than 256 KiB"),
        (b"# a\0b", "NUL"),
        (b"# caf\xe9", "UTF-8: byte 5"),
    ],
)
def test_what_is_no_text_is_refused_with_the_reason(root: Path, content: bytes, words: str) -> None:
    (root / "bad.md").write_bytes(content)

    assert words in refusal("bad.md", root)


@pytest.fixture
def no_openat2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KNOWN_MACHINES", frozenset())


@pytest.mark.usefixtures("no_openat2")
def test_without_openat2_the_same_is_read_and_refused(root: Path, tmp_path: Path) -> None:
    (root / "link.md").symlink_to(tmp_path / "secret.md")
    (root / "linked").symlink_to(tmp_path)

    assert read_source("inner/SPEC.md", [root]).text == "# a service\n"
    assert "no readable SPEC" in refusal("link.md", root)
    assert "no readable SPEC" in refusal("linked/secret.md", root)


def test_opening_by_component_follows_no_link(root: Path, tmp_path: Path) -> None:
    (root / "linked").symlink_to(tmp_path)
    anchor = os.open(root, os.O_RDONLY)

    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        open_by_component(anchor, "linked/secret.md")

    os.close(anchor)


def test_a_kept_spec_can_be_loaded_by_its_digest(root: Path, tmp_path: Path) -> None:
    source = read_source("inner/SPEC.md", [root])

    keep_source(source, tmp_path / "specs")
    keep_source(source, tmp_path / "specs")

    assert load_source(source.digest, tmp_path / "specs") == source


def test_a_kept_spec_that_was_changed_is_refused(root: Path, tmp_path: Path) -> None:
    source = read_source("inner/SPEC.md", [root])
    keep_source(source, tmp_path)
    (tmp_path / f"{source.digest}.md").write_text("# something else\n")

    with pytest.raises(SpecUnreadable, match="damaged"):
        load_source(source.digest, tmp_path)


@pytest.mark.parametrize("digest", ["0" * 64, "../../etc/passwd", "G" * 64])
def test_a_digest_that_was_never_kept_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(SpecUnreadable):
        load_source(digest, tmp_path)
