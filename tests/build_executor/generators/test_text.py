import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from build_executor.generators.compiler.text import comment, literal, sentence

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_a_literal_is_ascii_and_means_the_value(value: JsonValue) -> None:
    text = literal(value)

    assert text.isascii()
    assert ast.literal_eval(text) == value


@given(st.text())
def test_a_sentence_can_stand_in_a_docstring(text: str) -> None:
    words = sentence(text, "Nothing")

    assert words.endswith(".")
    assert not set(words) & set('"\\\n\r()=:<>[]`$')
    assert ast.parse(f'"""{words}"""')


@pytest.mark.parametrize(
    ("text", "words"),
    [("Make a payment.", "Make a payment."), ("TODO later", "TO-DO later."), ("", "Fallback.")],
)
def test_a_sentence_keeps_plain_words(text: str, words: str) -> None:
    assert sentence(text, "Fallback") == words


@given(st.text())
def test_a_comment_is_one_line(text: str) -> None:
    assert len(comment(text).splitlines()) <= 1
