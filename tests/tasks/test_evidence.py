from datetime import UTC, datetime

from build_executor.comparison import Comparison, Compatibility
from build_executor.models import Availability, Check, RollbackProof, RollbackReport, Usage
from build_executor.spec.compatibility import Change
from build_executor.spending import BuildCost, Call
from tasks.evidence import compatibility_evidence, cost_evidence, rollback_evidence

GONE = Change(operation="GET /pets", message="is no longer there", breaking=True, old_line=7)
NEW = Change(operation="GET /toys", message="is new", breaking=False, new_line=9)


def shown(**fields: object) -> str:
    one = Comparison.model_validate({"targets": ("local",), "live_release": "1.0.0-abc", **fields})
    return compatibility_evidence(Compatibility(comparisons=(one,)))


def test_each_change_is_shown_with_its_lines_and_whether_it_breaks_callers() -> None:
    text = shown(changes=(GONE, NEW))

    assert text.splitlines() == [
        "**local** replaces 1.0.0-abc: 2 changes, 1 breaking",
        "",
        "|  | change |",
        "| --- | --- |",
        "| breaks | GET /pets: is no longer there (was line 7) |",
        "|  | GET /toys: is new (SPEC line 9) |",
    ]


def test_no_change_is_said_too() -> None:
    assert shown() == "**local** replaces 1.0.0-abc: 0 changes, none of them breaking"


def test_what_could_not_be_compared_is_said() -> None:
    assert shown(note="not kept") == "**local**: not kept (1.0.0-abc is live)"
    assert shown(note="nothing is live", live_release=None) == "**local**: nothing is live"


def test_text_of_a_spec_stays_in_its_fence_and_in_its_cell() -> None:
    text = shown(
        spec_diff=("+```", "+````"),
        changes=(Change(operation="a|b\n| c |", message="is new", breaking=False),),
    )

    assert "`````diff\n+```\n+````\n`````" in text
    assert "| a\\|b \\| c \\|: is new |" in text


def test_the_cost_of_a_build_has_a_line_for_each_attempt() -> None:
    first = Call(
        id="a",
        build_id="b",
        attempt=1,
        model="m",
        at=datetime(2026, 1, 2, tzinfo=UTC),
        usage=Usage(input_tokens=10, cache_read_tokens=90, output_tokens=5),
        dollars=0.5,
        counted_dollars=0.5,
    )
    second = first.model_copy(update={"id": "c", "attempt": 2, "dollars": None})

    lines = cost_evidence(BuildCost.of([first, second], ceiling=2)).splitlines()

    assert lines[0] == "The ceiling is $2.00 (`CLAUDE_BUILD_DOLLARS`)."
    assert lines[-3:] == [
        "| attempt 1 | 1 | 100 | 90 | 5 | 0.5000 |",
        "| attempt 2 | 1 | 100 | 90 | 5 | not known |",
        "| build | 2 | 200 | 180 | 10 | not known |",
    ]


def test_a_roll_back_is_shown_with_its_proof() -> None:
    met = Availability(requests=300, failed=0, longest_gap_ms=12.5, p99_ms=9.0)
    checks = (
        Check(name="GET /pets", passed=True),
        Check(name="GET /toys", passed=False, detail="answered 500"),
        Check(name="GET /food", passed=False),
    )
    url = "http://127.0.0.1:8350"
    proof = RollbackProof(release="1", url=url, good_answers=5, checks=checks, availability=met)
    report = RollbackReport(
        rollback_status="success",
        previous_version_restored=True,
        service_health="active",
        service="shop",
        detail="1 is live again",
        proof=proof,
        lost=("GET /toys: is no longer there",),
    )

    text = rollback_evidence(report)

    assert text.splitlines() == [
        "**shop**: success, the service is active",
        "",
        "1 is live again",
        "",
        "- callers lose, GET /toys: is no longer there",
        "",
        "| proof | result |",
        "| --- | --- |",
        "| version marker | `1` at http://127.0.0.1:8350, 5 times in a row |",
        "| while traffic moved | 0 of 300 requests failed, longest gap 12.5 ms, p99 9.0 ms |",
        "| GET /pets | passed |",
        "| GET /toys | answered 500 |",
        "| GET /food | failed |",
    ]


def test_a_roll_back_that_left_nothing_has_nothing_to_prove() -> None:
    report = RollbackReport(
        rollback_status="success",
        previous_version_restored=False,
        service_health="absent",
        service="shop",
        detail="nothing is left of 1",
    )

    assert rollback_evidence(report).endswith("nothing is left of 1")
