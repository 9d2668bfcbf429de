import pytest

from build_executor.generators.splice import functions_in, helpers_in, imports_in, spliced

MODULE = '''"""What it is."""

import json
from typing import Any

LIMIT = 5


def one(a: int) -> int:
    # a comment
    return a


def two() -> Any:
    return json.dumps({})
'''


def test_functions_are_found_as_they_are_written() -> None:
    assert functions_in(MODULE)["one"] == "def one(a: int) -> int:\n    # a comment\n    return a"


def test_decorators_belong_to_their_function() -> None:
    assert functions_in("@cache\ndef f() -> None:\n    pass\n") == {
        "f": "@cache\ndef f() -> None:\n    pass"
    }


def test_a_function_is_replaced_and_the_rest_stays() -> None:
    text = spliced(MODULE, {"two": "def two() -> Any:\n    return 2"})

    assert functions_in(text) == {
        "one": functions_in(MODULE)["one"],
        "two": "def two() -> Any:\n    return 2",
    }
    assert text.startswith('"""What it is."""')
    assert "LIMIT = 5" in text


def test_what_a_function_imports_is_imported_once_at_the_top() -> None:
    source = "import math\nimport json\n\n\ndef one(a: int) -> int:\n    return math.floor(a)"

    text = spliced(MODULE, {"one": source})

    assert imports_in(text) == ("import json", "from typing import Any", "import math")
    assert functions_in(text)["one"] == "def one(a: int) -> int:\n    return math.floor(a)"


def test_a_function_that_is_not_there_comes_last() -> None:
    text = spliced(MODULE, {"three": "def three() -> int:\n    return 3"})

    assert list(functions_in(text)) == ["one", "two", "three"]


def test_a_module_without_imports_gets_them_after_its_words() -> None:
    text = spliced('"""Words."""\n\nx = 1\n', {"f": "import math\n\ndef f() -> None:\n    pass"})

    assert text.splitlines()[:2] == ['"""Words."""', "import math"]


def test_what_is_no_function_and_no_import_is_a_helper() -> None:
    assert helpers_in(MODULE, functions_in(MODULE)) == ("LIMIT = 5",)


def test_text_that_is_no_python_is_refused() -> None:
    with pytest.raises(SyntaxError):
        functions_in("def f(:")
