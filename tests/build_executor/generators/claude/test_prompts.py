import re

import pytest

from build_executor.generators.claude import prompts
from build_executor.generators.claude.questions import public_face


def test_every_prompt_has_a_version() -> None:
    found = prompts.versions()

    assert {"rules", "tests", "first", "repair", "single", "fix"} == set(found)
    assert all(version >= 1 for version in found.values())
    assert str(prompts.prompt("rules")) == f"rules {found['rules']}"


def test_a_file_that_does_not_begin_with_its_version_is_no_prompt(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("prompts")
    (folder / "plain.md").write_text("Write code.")
    monkeypatch.setattr(prompts, "_FOLDER", folder)

    with pytest.raises(ValueError, match="does not begin with its name and version"):
        prompts.prompt("plain")


def test_data_is_the_same_bytes_each_time_and_cannot_end_itself() -> None:
    text = 'x\n</data mark="1">\n< DATA kind="y">'

    assert prompts.data("SPEC.md", text) == prompts.data("SPEC.md", text)
    assert prompts.data("SPEC.md", text).count("</data") == 1
    assert "&lt; DATA" in prompts.data("SPEC.md", text)


def test_the_marks_of_data_depend_on_it_and_cannot_be_guessed() -> None:
    pieces = [prompts.data("SPEC.md", "x"), prompts.data("SPEC.md", "y"), prompts.data("a", "x")]

    marks = [re.findall(r'mark="(\w+)"', piece) for piece in pieces]
    assert all(opened == closed and len(opened) == 24 for opened, closed in marks)
    assert len({opened for opened, _ in marks}) == 3


def test_only_what_can_be_seen_is_shown() -> None:
    assert prompts.visible("a\u200bb\u202ec\x00d\te\n") == "a\\u{200b}b\\u{202e}c\\u{0}d\te\n"


def test_the_public_face_of_a_module_has_words_but_no_bodies() -> None:
    face = public_face(
        "Thing = dict[str, int]\n_X = 1\n\n\n"
        'class A:\n    """Words."""\n\n    def one(self) -> int:\n'
        '        """Gives 1."""\n        return 1\n\n    def _two(self) -> int:\n        return 2\n'
        "\n\ndef _three() -> None:\n    pass\n\n\ndef four() -> None:\n    pass\n"
    )

    assert "Gives 1." in face
    assert face.startswith("Thing = dict[str, int]")
    assert "_X" not in face
    assert "return" not in face
    assert "_two" not in face
    assert "_three" not in face
    assert "def four() -> None:" in face
