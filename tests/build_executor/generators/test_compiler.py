"""What the compiler writes for the cases of `tests/specs/cases`, looked at without running it."""

import ast
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest

from build_executor.command import run
from build_executor.generators import GENERATORS, Attempt
from build_executor.spec.contract import Contract, Operation
from build_executor.spec.derivation import derive_contract
from tests.spec_cases import Case, buildable_cases

COMPILER = GENERATORS["compiler"]
each_case = pytest.mark.parametrize("case", buildable_cases(), ids=str)


def files_of(contract: Contract) -> dict[str, str]:
    code = COMPILER.generate_code(contract, Attempt())
    return {**code, **COMPILER.generate_tests(contract, Attempt())}


def functions_in(text: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(text)
    return {
        node.name: node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def write(files: Mapping[str, str], folder: Path) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@each_case
def test_every_file_of_code_is_python(case: Case) -> None:
    files = files_of(derive_contract(case.text))

    assert {"app/main.py", "app/logic.py", "tests/test_contract.py"} <= set(files)
    for name, text in files.items():
        if name.endswith(".py"):
            compile(text, name, "exec")


@each_case
def test_every_operation_has_its_function_and_its_route(case: Case) -> None:
    contract = derive_contract(case.text)
    files = files_of(contract)

    logic = functions_in(files["app/logic.py"])
    endpoints = functions_in(files["app/endpoints/service.py"])
    written = {operation.name for operation in contract.business}
    assert written <= set(endpoints)
    assert {o.name for o in contract.business if o.rule != "stream"} <= set(logic)


@each_case
def test_what_is_not_inferred_answers_501_with_its_line_and_is_listed(case: Case) -> None:
    contract = derive_contract(case.text)
    files = files_of(contract)

    logic = functions_in(files["app/logic.py"])
    stubs = [o for o in contract.business if o.rule == "stub"]
    for stub in stubs:
        assert f"spec_line={stub.spec_line})" in ast.unparse(logic[stub.name])
        assert stub.label in files["GAPS.md"]
    assert files["app/logic.py"].count("raise NotImplementedYetError") == len(stubs)


@each_case
def test_no_value_of_an_example_becomes_data(case: Case) -> None:
    """Words that only stand in examples of answers are in no function."""
    contract = derive_contract(case.text)

    logic = files_of(contract)["app/logic.py"]

    for invented in ("2026-01-01T00:00:00Z", "Persuasion", "umbrella", "3600"):
        assert invented not in logic


@each_case
def test_the_same_contract_gives_the_same_files(case: Case) -> None:
    contract = derive_contract(case.text)

    assert files_of(contract) == files_of(contract)


def test_no_generated_file_uses_a_name_that_it_does_not_have(tmp_path: Path) -> None:
    for case in buildable_cases():
        write(files_of(derive_contract(case.text)), tmp_path / case.name)

    ruff = str(Path(sysconfig.get_path("scripts")) / "ruff")
    argv = [ruff, "check", "--isolated", "--no-cache", "--select", "E9,F821,F811,F63,F7"]
    found = run([*argv, str(tmp_path)], timeout=60)

    assert "All checks passed" in found.output


def test_a_contract_whose_parts_do_not_fit_is_no_code() -> None:
    lost = Operation(method="GET", path="/a/{id}", spec_line=1, name="get_a", rule="read")

    with pytest.raises(ValueError, match="has the rule read but no resource"):
        COMPILER.generate_code(Contract(service="a", operations=(lost,)), Attempt())
