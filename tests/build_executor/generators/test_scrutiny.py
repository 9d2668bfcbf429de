"""What the mesh's verifier looks for in a service's files: none of it may be found in ours."""

import re
from collections.abc import Iterator

import pytest

from build_executor.generators import GENERATORS, Attempt
from build_executor.spec.derivation import derive_contract
from tests.spec_cases import Case, buildable_cases

_SECRETS = (
    re.compile(r"(?:password|secret|api_key)\s*=\s*[\"'](?!.*example)(.+)[\"']", re.IGNORECASE),
    re.compile(r"sk-[a-zA-Z0-9]{20,}"),
    re.compile(r"-----BEGIN.*PRIVATE KEY-----"),
)
_SQL = (
    re.compile(r"f[\"']SELECT.*\{", re.IGNORECASE),
    re.compile(r"%s.*SELECT", re.IGNORECASE),
    re.compile(r"\.format.*SELECT", re.IGNORECASE),
)
_QUALITY = (
    re.compile(r"\bprint\s*\("),
    re.compile(r"except\s*:"),
    re.compile(r"requests\.(?:get|post|put|delete|patch)", re.IGNORECASE),
)


def written(case: Case) -> dict[str, str]:
    contract = derive_contract(case.text)
    compiler = GENERATORS["compiler"]
    return {
        **compiler.generate_code(contract, Attempt()),
        **compiler.generate_tests(contract, Attempt()),
    }


def found(files: dict[str, str], patterns: tuple[re.Pattern[str], ...]) -> Iterator[str]:
    for name, text in files.items():
        for line in text.split("\n") if name.endswith(".py") else ():
            if any(pattern.search(line) for pattern in patterns):
                yield f"{name}: {line.strip()}"


@pytest.fixture(params=buildable_cases(), ids=str)
def files(request: pytest.FixtureRequest) -> dict[str, str]:
    return written(request.param)


def test_no_secret_and_no_composed_sql_and_no_careless_call(files: dict[str, str]) -> None:
    sources = {n: t for n, t in files.items() if "test" not in n and "example" not in n}

    assert list(found(sources, _SECRETS)) == []
    assert list(found(files, _SQL + _QUALITY)) == []


def test_the_files_that_are_looked_for_are_there(files: dict[str, str]) -> None:
    assert {"app/main.py", "app/models.py", "requirements.txt", ".gitignore"} <= set(files)
    assert {".env.example", "Dockerfile", "README.md", "pytest.ini"} <= set(files)
    assert "pydantic_settings" in files["app/config.py"]
    assert "BaseSettings" in files["app/config.py"]
    assert "BaseModel" in files["app/models.py"]
    assert "from pydantic import" in files["app/models.py"]


def test_the_first_line_that_speaks_of_a_port_holds_a_bare_number(files: dict[str, str]) -> None:
    lines = files["app/config.py"].split("\n")
    spoken = [line for line in lines if "port" in line.lower() and ":" in line and "int" in line]

    assert re.fullmatch(r"    port: int = \d+", spoken[0])


def test_the_requirements_are_locked_and_name_no_host(files: dict[str, str]) -> None:
    text = files["requirements.txt"]

    assert "pytest-cov==" in text
    assert "uvicorn==" in text
    assert "://" not in text
    assert len(re.findall(r"^\S+==", text, re.MULTILINE)) <= text.count("--hash=sha256:")
