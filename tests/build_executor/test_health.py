from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from build_executor.errors import HealthCheckFailed
from build_executor.health import Patience, check_health
from build_executor.models import Deployment
from build_executor.phases import ErrorState
from tests.fakes.http_server import Answer, FakeServer, Fault, Json

RELEASE = "1.0.0-0123456789ab"


@dataclass
class Service(FakeServer):
    """Says on GET /health what the test wants, one answer after the other, the last for ever."""

    says: list[Answer] = field(default_factory=list)

    def respond(self, *_: Json) -> Answer:
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        yield service


def deployed(service: Service) -> Deployment:
    return Deployment(
        target="local", service="shop", release_id=RELEASE, build_id="7", url=service.url
    )


def health(status: str = "active", release: str = RELEASE, code: int = 200) -> Answer:
    return code, {"status": status, "release": release}


def check(service: Service, time: Time) -> int:
    patience = Patience(wait_seconds=2, retry_after_seconds=60)
    report = check_health(deployed(service), patience, clock=time.clock, sleep=time.sleep)
    assert (report.status, report.url) == ("active", f"{service.url}/health")
    return report.attempts


def test_an_active_service_passes_at_once(service: Service) -> None:
    service.says = [health()]

    assert check(service, Time()) == 1


def test_a_slow_start_is_waited_for(service: Service) -> None:
    service.faults = [Fault.RESET]
    service.says = [health("inactive"), health()]

    assert check(service, Time()) == 3


def test_after_a_failure_it_waits_a_minute_and_asks_again(service: Service) -> None:
    service.says = [*[health("error")] * 5, health()]
    time = Time()

    assert check(service, time) == 6

    assert 60 in time.slept


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (health("error"), "says 'error' with 200"),
        (health(code=503), "says 'active' with 503"),
        (health(release="0.9.0-older"), "answers as release '0.9.0-older', not"),
        ((200, ["odd"]), "answers as release None"),
    ],
)
def test_a_service_that_never_becomes_active_fails(
    service: Service, answer: Answer, reason: str
) -> None:
    service.says = [answer]

    with pytest.raises(HealthCheckFailed, match=reason) as failure:
        check(service, Time())

    assert failure.value.state is ErrorState.HEALTH_CHECK
    assert "after 10 attempts" in failure.value.message
