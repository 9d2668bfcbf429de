import pytest

from build_executor.errors import SpecRefused
from build_executor.spec.derivation import derive_contract
from build_executor.spec.report import as_json, refusal_report, report_on
from tests.spec_cases import Case, buildable_cases

SPEC = """# Desk

Port: 8000

### GET /health
### POST /notes
```json
{"text": "hello"}
```
### GET /notes/{note_id}
### POST /guess
"""


@pytest.mark.parametrize("case", buildable_cases(), ids=str)
def test_every_endpoint_is_in_the_report(case: Case) -> None:
    report = report_on(derive_contract(case.text))

    assert {f"{e.method} {e.path}" for e in report.endpoints} == set(case.expected["endpoints"])


def test_a_report_is_one_line_a_fact() -> None:
    lines = str(report_on(derive_contract(SPEC))).split("\n")

    assert lines == [
        "desk: 4 endpoints, port 8000 (header)",
        "  line     5  GET    /health  udc",
        "  line     6  POST   /notes  derived",
        "  line    10  GET    /notes/{note_id}  implemented",
        "  line    11  POST   /guess  stub-501",
        "gaps:",
        "  line 11: POST /guess: nothing in the SPEC says how the answer comes about",
        "assumptions:",
        "  line 8: POST /notes: its only JSON block has no label and is taken as the request",
    ]


def test_a_service_without_gaps_and_port_has_a_short_report() -> None:
    text = str(report_on(derive_contract("# Desk\n\n### POST /notes\n### GET /notes/{id}\n")))

    assert text.split("\n", maxsplit=1)[0] == "desk: 2 endpoints, no port stated"
    assert "gaps" not in text


def test_a_refusal_says_why_and_where() -> None:
    report = refusal_report(SpecRefused("prose", "no endpoint", 3))

    assert str(report) == "refused, prose: no endpoint (line 3)"
    assert str(refusal_report(SpecRefused("prose", "no endpoint"))) == "refused, prose: no endpoint"


def test_a_report_is_data_too() -> None:
    found = as_json(refusal_report(SpecRefused("prose", "no endpoint", 3)))

    assert isinstance(found, dict)
    assert (found["buildable"], found["reason"], found["line"]) == (False, "prose", 3)
