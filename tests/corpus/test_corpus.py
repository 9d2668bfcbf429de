import json
from pathlib import Path

import pytest

from build_executor.settings import Settings
from build_executor.spec.derivation import derive_contract
from tests.corpus.pipeline import Outcome, build
from tests.corpus.report import Entry, as_data, as_page, goals
from tests.corpus.round_trip import round_trips
from tests.corpus.truth import Reading, read_corpus
from tests.spec_cases import Case, buildable_cases

SPEC = """# Kites

**Service Name:** kites

## Endpoints

### POST /kites

Request:

```json
{"colour": "red"}
```

### GET /kites/{kite_id}
"""


@pytest.fixture
def corpus(tmp_path: Path) -> list[Reading]:
    (tmp_path / "kites.md").write_text(SPEC)
    (tmp_path / "essay.md").write_text("# On kites\n\nThey fly.\n")
    endpoints = [{"method": "POST", "path": "/kites"}, {"method": "GET", "path": "/kites"}]
    kites = {"service": "kites", "port": 8000, "buildable": True, "endpoints": endpoints}
    essay: dict[str, object] = {"service": None, "port": None, "buildable": False, "endpoints": []}
    (tmp_path / "truth.json").write_text(json.dumps({"kites.md": kites, "essay.md": essay}))
    return read_corpus(tmp_path)


def test_a_reading_is_compared_with_the_truth(corpus: list[Reading]) -> None:
    kites, essay = corpus

    assert (kites.found, kites.expected) == (1, 2)
    assert (kites.missing, kites.false) == (["GET /kites"], ["GET /kites/{}"])
    assert (kites.is_named, kites.is_ported) == (True, False)
    assert [kites.is_judged_right, essay.is_judged_right] == [True, True]


def test_goals_that_are_missed_are_said(corpus: list[Reading]) -> None:
    entries = [Entry(reading, 1, None, []) for reading in corpus]

    missed = {goal.name for goal in goals(entries) if not goal.is_met}

    assert missed == {"endpoints found", "false endpoints", "ports right", "pipeline completed"}


def test_the_page_and_the_data_name_what_failed(corpus: list[Reading]) -> None:
    outcome = Outcome(failed_in="build", failure="3 tests failed", fuzzing=["ST101, GET /kites"])
    entries = [Entry(corpus[0], 1, outcome, []), Entry(corpus[1], 0, None, [])]

    page, data = as_page(entries), as_data(entries)

    assert "**failed in build**" in page
    assert "- kites: missing `GET /kites`" in page
    assert "- kites: schemathesis: ST101, GET /kites" in page
    assert data["documents"][0]["build"]["failure"] == "3 tests failed"


@pytest.mark.parametrize("case", buildable_cases(), ids=str)
def test_a_contract_can_be_written_and_read_again_in_each_dialect(case: Case) -> None:
    contract = derive_contract(case.text)

    trips = round_trips(contract)

    assert {trip.dialect for trip in trips} == {"headings", "paragraphs"}
    assert all(trip.kept >= 0.7 * trip.parts for trip in trips)


@pytest.mark.full
def test_a_spec_goes_through_every_phase_and_leaves_nothing(tmp_path: Path) -> None:
    settings = Settings(build_executor_home=tmp_path, schemathesis_seconds=0)

    outcome = build(derive_contract(SPEC), "kites", settings)

    assert outcome.completed, outcome.failure
    assert outcome.tests_passed == outcome.tests > 0
    assert list(outcome.seconds) == ["generation", "build", "verification", "deployment", "health"]
    assert outcome.left_behind == 0
