import base64
import json

import pytest
from pydantic import JsonValue

from build_executor.checks.fuzz_report import Fuzzing, fuzzing_checks, read_reports
from build_executor.errors import VerificationFailed
from build_executor.models import Finding
from build_executor.spec.contract import Contract, Operation, Resource
from build_executor.verification import judged

CONTRACT = Contract(
    service="note-keeper",
    operations=(
        Operation(
            method="DELETE",
            path="/notes/{note_id}",
            spec_line=12,
            name="delete_note",
            rule="delete",
            resource="notes",
        ),
        Operation(
            method="POST", path="/message", kind="udc", spec_line=0, name="udc_message", rule="udc"
        ),
        Operation(method="GET", path="/tags", spec_line=20, name="list_tags", rule="list"),
    ),
    resources=(
        Resource(name="notes", singular="note", id_field="id", soft_delete="deleted", line=3),
    ),
)
TITLES = {
    "ST101": "Server error",
    "ST103": "Undocumented status code",
    "ST108": "Response violates schema",
    "ST204": "Wrong response to undeclared method",
    "ST201": "Schema-violating request accepted",
    "ST301": "Deleted resource still available",
}


def scenario(
    code: str, operation: str = "GET /tags", status: int | None = 200, **request: JsonValue
) -> str:
    """The line that schemathesis writes for one request with one failure."""
    asked = {"method": "GET", "uri": "http://127.0.0.1:1/tags", "headers": {}, **request}
    failure = {"code": code, "title": TITLES[code], "operation": operation, "message": "it\n is"}
    answer = {} if status is None else {"response": {"status_code": status, "headers": {}}}
    recorder = {
        "label": operation,
        "cases": {"A": {"value": {}}, "B": {"value": {}}},
        "checks": {
            "A": [{"name": "x", "status": "success"}],
            "B": [{"name": "y", "status": "failure", "failure_info": {"failure": failure}}],
        },
        "interactions": {"A": {"request": asked}, "B": {"request": asked, **answer}},
    }
    return json.dumps({"ScenarioFinished": {"status": "failure", "recorder": recorder}})


def summary(*codes: str, ended: str = "max_time") -> str:
    groups = [{"code": c, "title": TITLES[c], "operations": ["GET /tags"]} for c in codes]
    return json.dumps({"stop_reason": ended, "test_cases": {"generated": 607}, "failures": groups})


def read(*events: str, sums: str = "") -> Fuzzing:
    return read_reports(
        "\n".join(events).encode(), sums.encode(), CONTRACT, ended="killed", seconds=8.04
    )


@pytest.mark.parametrize("code", ["ST101", "ST108"])
def test_a_server_error_or_a_wrong_answer_is_a_failure(code: str) -> None:
    fuzzing = read(scenario(code, status=500), sums=summary(code))

    assert [finding.rule for finding in fuzzing.failures] == [f"{code} {TITLES[code]}"]
    assert fuzzing.advice == ()


def test_what_a_contract_leaves_open_is_only_shown() -> None:
    fuzzing = read(scenario("ST201"), sums=summary("ST201"))

    assert fuzzing.failures == ()
    assert len(fuzzing.advice) == 1


def test_a_finding_says_where_it_is_and_how_to_see_it_again() -> None:
    found = read(scenario("ST101", status=500)).failures[0]

    assert found == Finding(
        gate="schemathesis",
        rule="ST101 Server error",
        operation="GET /tags",
        spec_line=20,
        message="it is; answered 500; reproduce with: curl -X GET http://127.0.0.1:1/tags",
    )


def test_a_body_is_part_of_the_reproduction() -> None:
    body: JsonValue = {"$base64": base64.b64encode(b'{"a": "it\'s"}').decode()}
    headers: JsonValue = {"Content-Type": ["application/json"]}

    found = read(scenario("ST101", method="POST", headers=headers, body=body)).failures[0]

    shown = found.message.split("reproduce with: ")[1]
    assert shown.startswith("curl -X POST -H 'Content-Type: application/json' --data-raw '{")


def test_a_body_that_is_no_text_is_part_of_the_reproduction() -> None:
    encoded = base64.b64encode(b"\xff\x00").decode()

    found = read(scenario("ST101", method="POST", body={"$base64": encoded})).failures[0]

    assert f"echo {encoded} | base64 -d | curl -X POST --data-binary @- http" in found.message


def test_a_body_that_cannot_be_decoded_is_left_out() -> None:
    found = read(scenario("ST101", body={"$base64": "?"}), scenario("ST108", body="text"))

    assert "data" not in found.failures[0].message
    assert "--data-raw text" in found.failures[1].message


def test_a_failure_without_its_request_is_still_one() -> None:
    event = json.loads(scenario("ST101", operation="OPTIONS /tags"))
    event["ScenarioFinished"]["recorder"]["interactions"] = {}

    found = read(json.dumps(event)).failures[0]

    assert (found.message, found.spec_line) == ("it is", None)


def test_the_same_finding_is_told_once() -> None:
    assert len(read(*[scenario("ST101", status=500)] * 3).failures) == 1


def test_the_status_of_a_server_error_is_no_second_finding() -> None:
    assert read(scenario("ST103", status=500)).advice == ()
    assert len(read(scenario("ST103", status=418)).advice) == 1
    assert len(read(scenario("ST103", status=None)).advice) == 1


def test_what_is_only_marked_as_deleted_may_be_read() -> None:
    assert read(scenario("ST301", "DELETE /notes/{note_id}")).advice == ()
    assert len(read(scenario("ST301", "GET /tags")).advice) == 1


def test_a_get_of_messages_is_what_the_mesh_asks() -> None:
    assert read(scenario("ST204", "POST /message")).advice == ()
    assert len(read(scenario("ST204", "GET /tags")).advice) == 1


def test_a_service_that_ended_is_a_failure_and_a_slow_one_is_not() -> None:
    gone = {"type": "ServerUnavailable", "message": "stopped responding"}
    late = {"type": "ReadTimeout", "message": ""}

    fuzzing = read(
        json.dumps({"NonFatalError": {"value": gone, "label": "Server"}}),
        json.dumps({"NonFatalError": {"value": late, "label": "GET /tags"}}),
    )

    assert [f.message for f in fuzzing.failures] == ["stopped responding"]
    assert [(f.message, f.spec_line) for f in fuzzing.advice] == [("no answer", 20)]


def test_a_finding_that_only_the_sums_name_is_not_lost() -> None:
    fuzzing = read("", sums=summary("ST101", "ST103"))

    assert [f.message for f in fuzzing.failures] == ["found in GET /tags"]
    assert fuzzing.advice == ()


def test_the_sums_say_how_it_ended() -> None:
    fuzzing = read(scenario("ST101"), sums=summary("ST101"))

    assert (fuzzing.cases, fuzzing.ended, fuzzing.seconds) == (607, "max_time", 8.0)


def test_what_was_found_before_a_kill_counts() -> None:
    whole = scenario("ST101", status=500)

    fuzzing = read(whole, whole[: len(whole) // 2])

    assert (fuzzing.cases, fuzzing.ended, len(fuzzing.failures)) == (2, "killed", 1)


def test_remarks_are_checks_that_passed() -> None:
    checks = judged(read(scenario("ST201"), sums=summary("ST201")))

    assert [check.passed for check in checks] == [True, True]
    assert checks[0].detail == "schemathesis: 607 requests in 8 s (max_time): 0 failures, 1 remarks"
    assert checks[1].name == f"schemathesis: ST201 {TITLES['ST201']}, GET /tags"


def test_failures_are_checks_that_failed_and_end_the_verification() -> None:
    fuzzing = read(scenario("ST101", status=500))

    assert [check.passed for check in fuzzing_checks(fuzzing)] == [False, False]
    with pytest.raises(VerificationFailed, match="1 kinds of odd requests") as failure:
        judged(fuzzing)
    assert failure.value.findings == fuzzing.failures
