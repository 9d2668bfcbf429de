import pickle

import pytest

from build_executor import errors
from build_executor.errors import (
    BuildExecutorError,
    BuildFailed,
    CommandFailed,
    NoAnswer,
    PhaseFailed,
    SpecRefused,
)
from build_executor.models import Finding
from build_executor.phases import ErrorState

FINDING = Finding(gate="ruff", rule="F401", message="unused", file="app/main.py", line=3)
EVERY_ERROR = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, BuildExecutorError)
]
EXAMPLES = [
    CommandFailed(("uv", "pip"), 2, "no such package"),
    CommandFailed(("pytest",), None, ""),
    NoAnswer("GET", "http://127.0.0.1:1/health", "refused"),
    SpecRefused("template", "a template", 3),
    SpecRefused("empty", "nothing in it"),
    *(kind("it failed", [FINDING]) for kind in EVERY_ERROR if issubclass(kind, PhaseFailed)),
    *(
        kind("it failed")
        for kind in EVERY_ERROR
        if kind not in {CommandFailed, NoAnswer, SpecRefused}
    ),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_an_error_can_be_sent_to_another_process(error: BuildExecutorError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - what Prefect does with it

    assert type(copy) is type(error)
    assert (str(copy), vars(copy)) == (str(error), vars(error))


def test_every_error_has_an_example() -> None:
    assert {type(error) for error in EXAMPLES} == set(EVERY_ERROR)


def test_every_phase_that_can_fail_has_its_own_state() -> None:
    states = [
        kind.state
        for kind in EVERY_ERROR
        if issubclass(kind, PhaseFailed) and kind is not PhaseFailed
    ]

    assert sorted(states) == sorted(ErrorState)


def test_every_error_is_in_the_tree_that_opens_the_module() -> None:
    tree = errors.__doc__ or ""

    assert [kind.__name__ for kind in EVERY_ERROR if kind.__name__ not in tree] == []


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (CommandFailed(("uv", "pip"), 2, " no\n"), "`uv` exited with 2: no"),
        (CommandFailed(("pytest",), None, ""), "`pytest` ran out of time: no output"),
        (SpecRefused("x", "a template", 3), "a template (SPEC line 3)"),
        (SpecRefused("x", "a template"), "a template"),
        (
            BuildFailed("it failed", [FINDING]),
            "it failed\n- app/main.py:3: [ruff/F401] unused",
        ),
    ],
)
def test_an_error_reads_as_a_sentence(error: BuildExecutorError, text: str) -> None:
    assert str(error) == text


def test_a_finding_names_the_operation_and_the_specs_line() -> None:
    finding = Finding(
        gate="contract", rule="status", message="answered 500", operation="GET /x", spec_line=7
    )

    assert str(finding) == "GET /x: [contract/status] answered 500 (SPEC line 7)"
