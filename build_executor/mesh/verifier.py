"""The mesh's verifier: a second opinion on a staged service, from a program that is not ours.

It works synchronously, so a poll may hang for as long as it runs the service's tests: a late answer
means "busy". Its lists of issues are always empty; what it found is in the checks of its phases.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

from pydantic import JsonValue

from build_executor.errors import NoAnswer
from build_executor.http_client import Answer, HttpClient
from build_executor.models import Finding, Value

_ACCEPTED, _OK = 202, 200
_HANGS_SECONDS = 150.0
_POLL_SECONDS = 1.0
_BUDGET_SECONDS = 240.0
_APPROVALS = frozenset({"APPROVED", "APPROVED_WITH_NOTES"})
_PASSED = frozenset({"PASS", "PASSED", "OK", "TRUE", "SKIP", "SKIPPED"})


class Verdict(Value):
    """What the verifier decided, and what it said of each check that did not pass."""

    decision: str
    findings: tuple[Finding, ...] = ()

    @property
    def approved(self) -> bool:
        """Whether the service may be deployed, notes or not."""
        return self.decision in _APPROVALS


class MeshVerifier:
    """A client of one verifier; a context manager, because it holds connections."""

    def __init__(
        self,
        url: str,
        *,
        budget_seconds: float = _BUDGET_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = HttpClient(url, call_seconds=min(_HANGS_SECONDS, budget_seconds))
        self._budget, self._clock, self._sleep = budget_seconds, clock, sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def verify(self, folder: Path, name: str) -> Verdict:
        """Its verdict on the staged service in `folder`; NoAnswer if it gives none in time."""
        order: JsonValue = {"droplet_path": str(folder), "droplet_name": name}
        answer = self._client.call("POST", "/verify", order)
        job = answer.fields.get("job_id")
        if answer.status not in (_OK, _ACCEPTED) or not isinstance(job, str):
            raise self._nonsense("POST", "/verify", answer)
        outcome = self._outcome(f"/verify/{job}")
        report = self._client.get(f"/verify/{job}/report")
        decision = outcome.get("decision") or f"{outcome.get('status')} without a decision"
        return Verdict(decision=str(decision), findings=tuple(_findings(report.fields)))

    def _outcome(self, path: str) -> Mapping[str, JsonValue]:
        deadline = self._clock() + self._budget
        while self._clock() < deadline:
            answer = self._poll(path)
            if answer is not None and answer.fields.get("status") in {"completed", "failed"}:
                return answer.fields
            self._sleep(_POLL_SECONDS)
        raise NoAnswer("GET", self._client.base_url + path, "no verdict in time")

    def _poll(self, path: str) -> Answer | None:
        try:
            answer = self._client.get(path)
        except NoAnswer:
            return None  # busy
        if answer.status != _OK:
            raise self._nonsense("GET", path, answer)
        return answer

    def _nonsense(self, method: str, path: str, answer: Answer) -> NoAnswer:
        what = f"answered {answer.status} {answer.excerpt[:100]}"
        return NoAnswer(method, self._client.base_url + path, what)


def _findings(report: Mapping[str, JsonValue]) -> Iterator[Finding]:
    for phase in _objects(report.get("phases")):
        for check in _objects(phase.get("checks")):
            outcome = str(check.get("status", check.get("passed", "PASS"))).upper()
            if outcome not in _PASSED:
                name = check.get("name", check.get("check", "check"))
                said = check.get("message") or check.get("details") or outcome
                rule = str(phase.get("name", phase.get("phase", "phase")))
                yield Finding(gate="verifier", rule=rule, message=f"{name}: {said}")


def _objects(listed: JsonValue) -> Iterator[Mapping[str, JsonValue]]:
    entries = listed if isinstance(listed, list) else []
    yield from (entry for entry in entries if isinstance(entry, dict))
