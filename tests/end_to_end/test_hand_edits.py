"""A person edits the functions of a service: the next build keeps that, or asks."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.stack import Stack
from tests.end_to_end.test_builds import approve, live

pytestmark = pytest.mark.full


def edit(stack: Stack, service: str) -> Path:
    """The ids of notes begin with a word of the editor's; the edited file."""
    logic = stack.home / "var" / "sources" / service / "logic.py"
    text = logic.read_text(encoding="utf-8")
    assert "new_id()" in text
    logic.write_text(text.replace("new_id()", 'new_id("mine-")', 1), encoding="utf-8")
    return logic


def is_edited(url: str) -> bool:
    answer = httpx.post(f"{url}/notes", json={"title": "t", "text": "x"}, timeout=60)
    return str(answer.json()["note_id"]).startswith("mine-")


def test_an_edit_survives_a_rebuild_and_waits_where_it_does_not_fit(
    stack: Stack, notes: Callable[[str], str]
) -> None:
    url, build = live(stack, notes("1.0.0"))
    assert not is_edited(url)
    logic = edit(stack, str(build["service_name"]))

    live(stack, notes("1.1.0"))
    assert is_edited(url)

    spec = Path(notes("2.0.0"))
    spec.write_text(spec.read_text().replace('{"title": "milk", "text": "two litres"}', "{}", 1))
    spec.write_text(spec.read_text().replace('"text": "two litres", ', ""))
    build_id = stack.submit(str(spec), approval_mode="auto")
    waiting = stack.awaiting(build_id)
    approve(stack, build_id, approved=False)
    rejected = stack.finished(build_id)

    assert waiting["approval"]["checkpoint"] == "hand_edits"
    assert rejected["error_state"] == "failed_approval"
    assert "hand-edits.diff" in rejected["artifacts"]
    assert 'new_id("mine-")' in logic.read_text(encoding="utf-8")
    assert is_edited(url)
