"""One running service under examination: each question asked becomes one recorded check."""

import time
from collections.abc import Callable, Mapping

from pydantic import JsonValue

from build_executor.checks.sampling import faults
from build_executor.errors import NoAnswer
from build_executor.http_client import Answer, HttpClient
from build_executor.models import Check
from build_executor.spec.contract import Contract, Shape

Expectation = Callable[[Answer], str | None]
"""What is wrong with an answer; None if it is as it should be."""

_EXCERPT = 120


class Examination:
    """Asks a service and keeps the checks; what is asked after its time is over has failed."""

    def __init__(self, client: HttpClient, contract: Contract, *, seconds: float) -> None:
        self.contract = contract
        self.checks: list[Check] = []
        self._client = client
        self._deadline = time.monotonic() + seconds

    @property
    def url(self) -> str:
        """The examined service's address."""
        return self._client.base_url

    def ask(
        self,
        name: str,
        call: "Call",
        expected: Expectation,
    ) -> Answer | None:
        """Make one call and record whether its answer is as expected; the answer, if there is one.

        None also for an answer that is not as expected: nothing can be built upon it.
        """
        if time.monotonic() > self._deadline:
            self.record(name, "there was no time left to ask")
            return None
        try:
            answer = self._client.call(call.method, call.path, call.body, call.query)
        except NoAnswer as error:
            self.record(name, str(error))
            return None
        problem = expected(answer)
        self.record(name, problem, answer.duration_ms)
        return answer if problem is None else None

    def record(self, name: str, problem: str | None, duration_ms: float = 0) -> None:
        """Keep a check that was made by other means; what passed before is not kept again."""
        passed = problem is None
        known = any(check.name == name and check.passed for check in self.checks)
        if not (passed and known):
            self.checks.append(
                Check(name=name, passed=passed, detail=problem or "", duration_ms=duration_ms)
            )

    def note(self, name: str, detail: str) -> None:
        """Keep a check that passed, with something that the reader should know."""
        self.checks.append(Check(name=name, passed=True, detail=detail))

    def fits(self, shape: Shape, *statuses: int) -> Expectation:
        """An answer with one of these statuses, and a JSON body of this shape."""

        def expect(answer: Answer) -> str | None:
            if wrong := has_status(*statuses)(answer):
                return wrong
            if problems := faults(answer.body, shape, self.contract):
                return "; ".join(problems)
            return None

        return expect


class Call:
    """One request: what `Examination.ask` sends."""

    def __init__(
        self,
        method: str,
        path: str,
        body: JsonValue = None,
        query: Mapping[str, JsonValue] | None = None,
    ) -> None:
        self.method, self.path, self.body, self.query = method, path, body, query


def has_status(*statuses: int) -> Expectation:
    """An answer with one of these statuses, whatever its body is."""

    def expect(answer: Answer) -> str | None:
        if answer.status in statuses:
            return None
        wanted = " or ".join(map(str, statuses))
        return f"answered {answer.status}, not {wanted}: {answer.excerpt[:_EXCERPT]}"

    return expect
