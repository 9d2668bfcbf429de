import pytest

from build_executor.generators.claude.code_rules import file_findings, function_findings

SKELETON = "def f(repository: Repository, body: Body) -> Answer:\n    raise X\n"
HEAD = "def f(repository: Repository, body: Body) -> Answer:\n"


def rules(text: str) -> set[str]:
    return {finding.rule for finding in function_findings(text, SKELETON, "POST /f")}


def rules_of_test(text: str) -> set[str]:
    return {finding.rule for finding in file_findings(text, "tests/extra/test_f.py")}


def test_a_function_that_computes_is_allowed() -> None:
    text = (
        "import math\nfrom datetime import timedelta\nfrom app.models import Answer\n\n"
        + HEAD
        + '    """Adds."""\n'
        + '    record = repository.require("accounts", body.id, "account")\n'
        + "    total = math.fsum(x for x in record.values() if isinstance(x, float))\n"
        + "    return Answer(total=total, days=timedelta(days=1).days)\n"
    )

    assert function_findings(text, SKELETON, "POST /f") == ()


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("import os", "import"),
        ("from os import environ", "import"),
        ("import statistics as s; s.sys", "import"),
        ("from statistics import sys", "import"),
        ("from . import main", "import"),
        ("from app import main", "import"),
        ("from app.repository import sqlite3", "import"),
        ("import app.repository", "import"),
        ("import pytest", "import"),
        ("import json; x = json", "module"),
        ("open('/etc/passwd')", "builtin"),
        ("eval('1')", "builtin"),
        ("getattr(body, 'x')", "builtin"),
        ("__import__('os')", "builtin"),
        ("x = __name__", "builtin"),
        ("repository._database.execute('x')", "private"),
        ("().__class__.__subclasses__()", "private"),
        ("'{0.__class__}'.format(body)", "private"),
        ("global x", "statement"),
        ("class X: pass", "statement"),
        ("raise NotImplementedYetError('no', spec_line=1)", "not-implemented"),
        ("x = 1  # noqa: F841", "suppression"),
        ("x = 1  # type: ignore", "suppression"),
    ],
)
def test_what_a_function_does_not_need_is_refused(line: str, rule: str) -> None:
    assert rule in rules(f"{HEAD}    {line}\n    return 1\n")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("def f(:\n", "syntax"),
        ("x = '\0'\n", "syntax"),
        ("x = 1\n", "not-one-function"),
        (HEAD + "    return 1\n\ndef g() -> int:\n    return 1\n", "not-one-function"),
        ("def g(repository: Repository, body: Body) -> Answer:\n    return 1\n", "signature"),
        ("def f(repository: Repository) -> Answer:\n    return 1\n", "signature"),
        ("def f(repository, body):\n    return 1\n", "signature"),
        ("@cache\n" + HEAD + "    return 1\n", "decorator"),
        (HEAD + "    raise ConflictError('no')\n", "never-answers"),
        (HEAD + "    x = 1\n" * 400 + "    return x\n", "too-large"),
        ("async def f(repository: Repository, body: Body) -> Answer:\n    return 1\n", "statement"),
    ],
)
def test_what_is_not_the_function_asked_for_is_refused(text: str, rule: str) -> None:
    assert rule in rules(text)


def test_a_function_that_answers_nothing_need_not_return() -> None:
    text = "def f(repository: Repository) -> None:\n    repository.remove('a', 'b')\n"

    assert function_findings(text, text, "DELETE /f") == ()


def test_a_finding_names_the_operation() -> None:
    (finding,) = function_findings(HEAD + "    x = 1\n", SKELETON, "POST /f")

    assert str(finding).startswith("app/logic.py:None: POST /f") or finding.operation == "POST /f"


def test_a_test_that_asks_the_service_is_allowed() -> None:
    text = (
        '"""Deposits."""\n\nimport pytest\nfrom fastapi.testclient import TestClient\n\n'
        "from tests.examples import make_account\n\nAMOUNT = 5\n\n\n"
        '@pytest.mark.parametrize("amount", [1, 2])\n'
        "def test_deposits_add_up(client: TestClient, amount: int) -> None:\n"
        '    account = make_account(client)["account_id"]\n'
        "    assert client.post(f'/accounts/{account}/deposit').status_code == 200\n"
    )

    assert file_findings(text, "tests/extra/test_f.py") == ()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("def broken(:\n", "syntax"),
        ("x = 1\n", "not-a-test"),
        ("print('x')\n\ndef test_x() -> None:\n    assert True\n", "not-a-test"),
        ("import os\n\ndef test_x() -> None:\n    assert os\n", "import"),
        ("from tests.examples import itertools\n\ndef test_x() -> None:\n    assert 1\n", "import"),
        ("from pytest import MonkeyPatch\n\ndef test_x() -> None:\n    assert 1\n", "import"),
        ("def test_x() -> None:\n    exec('1')\n", "builtin"),
    ],
)
def test_what_a_test_does_not_need_is_refused(text: str, rule: str) -> None:
    assert rule in rules_of_test(text)


def test_what_cannot_be_read_for_its_depth_is_a_finding() -> None:
    assert rules(HEAD + "    return " + "-" * 30_000 + "1\n") == {"syntax"}
