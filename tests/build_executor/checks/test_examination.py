from build_executor.checks.examination import Call, Examination, has_status
from build_executor.http_client import HttpClient
from build_executor.spec.contract import Contract
from tests.fakes.payments import FakePayments


def test_what_is_asked_after_the_time_is_over_has_failed() -> None:
    with FakePayments() as service, HttpClient(service.url) as client:
        examination = Examination(client, Contract(service="shop"), seconds=-1)

        answer = examination.ask("GET /health", Call("GET", "/health"), has_status(200))

        assert answer is None
        assert examination.checks[0].detail == "there was no time left to ask"
        assert service.requests == []


def test_the_same_question_answered_well_twice_is_one_check() -> None:
    with FakePayments() as service, HttpClient(service.url) as client:
        examination = Examination(client, Contract(service="shop"), seconds=5)

        for _ in range(2):
            examination.ask("GET /health", Call("GET", "/health"), has_status(200))

        assert [check.passed for check in examination.checks] == [True]
