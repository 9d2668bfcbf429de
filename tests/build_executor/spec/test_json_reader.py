import pytest
from pydantic import JsonValue

from build_executor.spec.json_reader import Hint, plain, read_examples, type_word
from build_executor.spec.shapes import infer


def values(text: str) -> list[JsonValue]:
    return [plain(example.value) for example in read_examples(text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "b": [true, false, null]}', {"a": 1, "b": [True, False, None]}),
        ('{"a": +2, "b": -1.5e3, "c": 1_000}', {"a": 2, "b": -1500.0, "c": 1000}),
        ("{'a': 'b',}", {"a": "b"}),
        ('{"a": 1, // why\n "b": 2 # and\n /* so */}', {"a": 1, "b": 2}),
        ('{"a": 1, ...}', {"a": 1}),
        ('[{"a": 1}, ...]', [{"a": 1}]),
        ('{"a": [...], "b": {...}}', {"a": [], "b": None}),
        ('{"list": [{...one...}, {...two...}]}', {"list": [None, None]}),
        (r'{"a": "x\"\n\u0041"}', {"a": 'x"\nA'}),
        ('{"a": None, "b": True}', {"a": None, "b": True}),
        ("{}", None),
    ],
)
def test_what_people_write_is_read(text: str, value: JsonValue) -> None:
    assert values(text) == [value]


def test_several_documents_keep_their_labels_and_lines() -> None:
    examples = read_examples('// Request\n{"a": 1}\n\n// Response\n{"b": 2}\n')

    assert [(e.label, e.line, e.value) for e in examples] == [
        ("// Request", 1, {"a": 1}),
        ("// Response", 4, {"b": 2}),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "{",
        '{"a": ',
        '{"a: 1}',
        "[1, 2",
        "{" * 5000,
        "[" * 5000,
        '{"a": ]}',
        "{x: 1}",
    ],
)
def test_what_is_no_document_is_passed_over(text: str) -> None:
    assert values(text) == []


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ('"idle" | "busy"', {"type": "string", "enum": ["idle", "busy"]}),
        ('"queued|running"', {"type": "string", "enum": ["queued", "running"]}),
        ('null | "task-001"', {"type": ["string", "null"]}),
        ("null | {...}", {"type": ["object", "null"]}),
        ('"a" | "b" | null', {"type": ["string", "null"], "enum": ["a", "b", None]}),
        ('"a|b" | null', {"type": ["string", "null"], "enum": ["a", "b", None]}),
        ('"string" | null', {"type": ["string", "null"]}),
        ("float | null", {"type": ["number", "null"]}),
        ("float | int | null", {}),
        ("what it is | null", {}),
        ("0.0-1.0", {"type": "number"}),
        ("float", {"type": "number"}),
        ('"ISO datetime"', {"type": "string", "format": "date-time"}),
        ("whatever it is", {}),
        ('"..."', {"type": "string"}),
        ("1 | 2", {"type": "integer"}),
    ],
)
def test_words_that_describe_a_value_become_its_shape(text: str, shape: JsonValue) -> None:
    example = read_examples(f'{{"a": {text}}}')[0]

    assert infer(example.value) == {"type": "object", "properties": {"a": shape}}


def test_a_word_that_names_no_type_says_nothing() -> None:
    assert type_word("teapot") is None
    assert type_word("int") == Hint({"type": "integer"})
