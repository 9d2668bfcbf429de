"""The last word on a build: does the deployed service say, in public, that it is active?

SPEC.md: wait for start-up (30 s), test /health; on failure wait 60 s, retry, then roll back. The
answer must carry the deployed release's id, so neither an older release nor a stranger on the port
can pass for it.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from build_executor.errors import HealthCheckFailed, NoAnswer
from build_executor.events import report_progress
from build_executor.http_client import HttpClient
from build_executor.models import Deployment, Finding, HealthReport, Value
from build_executor.phases import Phase

_OK = 200
_POLL_SECONDS = 0.5


class Patience(Value):
    """How long a service may take, in SPEC.md's numbers."""

    wait_seconds: float = 30
    retry_after_seconds: float = 60


def check_health(
    deployment: Deployment,
    patience: Patience | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> HealthReport:
    """Its report once it is active; HealthCheckFailed after waiting, pausing, and waiting again."""
    patience = patience or Patience()
    attempts = 0
    with HttpClient(deployment.url) as client:
        for pause in (0.0, patience.retry_after_seconds):
            sleep(pause)
            deadline = clock() + patience.wait_seconds
            while True:
                attempts += 1
                problem = _problem(client, deployment)
                if problem is None:
                    return _report(deployment, attempts)
                if clock() >= deadline:
                    break
                sleep(_POLL_SECONDS)
            report_progress(Phase.HEALTH_CHECK, 50, f"not active yet: {problem}")
    finding = Finding(gate="health", rule="active", message=problem, operation="GET /health")
    message = f"{deployment.service} at {deployment.url} is not active after {attempts} attempts"
    raise HealthCheckFailed(message, [finding])


def _problem(client: HttpClient, deployment: Deployment) -> str | None:
    try:
        answer = client.get("/health")
    except NoAnswer as error:
        return str(error)
    status, release = answer.fields.get("status"), answer.fields.get("release")
    if release != deployment.release_id:
        return f"answers as release {release!r}, not {deployment.release_id!r}"
    if status == "active" and answer.status == _OK:
        return None
    return f"says {status!r} with {answer.status}"


def _report(deployment: Deployment, attempts: int) -> HealthReport:
    report_progress(Phase.HEALTH_CHECK, 100, f"{deployment.url} is active")
    return HealthReport(
        url=f"{deployment.url}/health",
        status="active",
        attempts=attempts,
        checked_at=datetime.now(UTC),
    )
