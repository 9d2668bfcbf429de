import re

import pytest

from build_executor.checks.patterns import matching


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[0-9]{3}$",
        r"^\d{4}-\d{2}$",
        r"^[A-Z]{2,3}$",
        r"^(EUR|USD)$",
        r"^[^a-z]+$",
        r"^[^\d\s]x?$",
        r"^[\w.]+@[\w]+\.org$",
        r"^[_a-z]\S*$",
        r"^\D\W\s$",
        r"a.b",
        r"^[^a]$",
        r"^(?:#[0-9a-fA-F]{6})?$",
        r"^[ab]*?[^\w][\D]$",
    ],
)
def test_a_text_is_found_that_matches(pattern: str) -> None:
    text = matching(pattern)

    assert text is not None
    assert re.search(pattern, text)


@pytest.mark.parametrize(
    "pattern", [r"^(?=a)b", r"(", r"a{5000}", r"^a$b", r"^[^a1A0_\-. ]$", r"^(a)\1$"]
)
def test_what_is_too_special_is_left_to_others(pattern: str) -> None:
    assert matching(pattern) is None
