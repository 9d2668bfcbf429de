from typing import Any

import pytest

from build_executor.errors import SpecRefused
from build_executor.spec.contract import Contract
from build_executor.spec.derivation import LARGEST_SPEC, derive_contract
from tests.spec_cases import Case, buildable_cases, refused_cases


def named(word: str) -> dict[str, Any]:
    return {"argnames": word, "argvalues": buildable_cases(), "ids": str}


def endpoints_of(contract: Contract) -> dict[str, Any]:
    return {
        o.label: {"line": o.spec_line, "rule": o.rule, "status": o.success_status}
        for o in contract.operations
        if o.spec_line
    }


def differences(expected: Any, found: Any, place: str = "") -> list[str]:  # noqa: ANN401 - JSON
    """Where `found` lacks what is expected; objects may hold more than expected."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line
            for key, value in expected.items()
            for line in differences(value, found.get(key, "(nothing)"), f"{place}.{key}")
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for n, (a, b) in pairs for line in differences(a, b, f"{place}[{n}]")]
    return [] if expected == found else [f"{place}: expected {expected!r}, found {found!r}"]


@pytest.mark.parametrize(**named("case"))
def test_the_header_is_what_a_reader_sees(case: Case) -> None:
    contract = derive_contract(case.text).model_dump(mode="json")

    stated = {k: case.expected[k] for k in ("service", "port", "port_source")}
    stated["version"] = case.expected.get("version", "1.0.0")
    assert {key: contract[key] for key in stated} == stated


@pytest.mark.parametrize(**named("case"))
def test_every_endpoint_has_its_line_its_rule_and_its_status(case: Case) -> None:
    contract = derive_contract(case.text)

    assert endpoints_of(contract) == case.expected["endpoints"]


@pytest.mark.parametrize(**named("case"))
def test_gaps_and_assumptions_are_all_said(case: Case) -> None:
    contract = derive_contract(case.text)

    for kind, notes in (("gaps", contract.gaps), ("assumptions", contract.assumptions)):
        expected = case.expected.get(kind, [])
        assert expected == "any" or [str(note) for note in notes] == expected


@pytest.mark.parametrize(**named("case"))
def test_the_contract_holds_what_the_document_says(case: Case) -> None:
    contract = derive_contract(case.text)

    found = {
        "contract": contract.model_dump(mode="json"),
        "resources": {r.name: r.model_dump(mode="json") for r in contract.resources},
        "components": contract.components,
        "operations": {o.label: o.model_dump(mode="json") for o in contract.operations},
    }
    expected = {part: case.expected.get(part, {}) for part in found}
    assert "\n".join(differences(expected, found)) == ""


@pytest.mark.parametrize(**named("case"))
def test_the_same_text_gives_the_same_contract(case: Case) -> None:
    assert derive_contract(case.text).digest == derive_contract(case.text).digest


@pytest.mark.parametrize("case", refused_cases(), ids=str)
def test_what_is_no_service_is_refused_with_its_reason_and_line(case: Case) -> None:
    with pytest.raises(SpecRefused) as refusal:
        derive_contract(case.text)

    found = {"reason": refusal.value.reason, "line": refusal.value.line}
    assert found == case.expected["refused"]
    assert refusal.value.message


def test_a_document_that_is_too_large_is_not_read() -> None:
    with pytest.raises(SpecRefused, match="larger than 256 KiB"):
        derive_contract("x" * (LARGEST_SPEC + 1))
