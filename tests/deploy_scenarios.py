"""What may happen to a service that is under load: deployments, good and bad, and killed parts."""

import contextlib
import http.client
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from build_executor import command
from build_executor.deployment import Gate, Rollout, deploy, prove
from build_executor.errors import DeploymentFailed
from build_executor.models import Check, Release, VerifiedRelease
from build_executor.targets.probing import release_at
from build_executor.targets.state import ServiceState
from tests.deploy_generated import Generated
from tests.deploy_load import ANSWERED, Habits, Report
from tests.deploy_stations import Part, Station
from tests.fakes.release import Releases
from tests.fakes.shop import SERVER
from tests.ports import free_port

GUARD_SECONDS = 3.0
LONG_GUARD_SECONDS = 10.0
SLOW_SECONDS = 4.0
QUIET_SECONDS = 3.0
ROOT = Path(__file__).parent.parent


class Outcome(NamedTuple):
    """One run: what users met, how long it took, and what did not end as it should."""

    report: Report
    seconds: float | None = None
    surprise: str | None = None


@dataclass
class Shop:
    """A service on a station, and its next releases."""

    station: Station
    folder: Path
    live: Release | None = None
    port: int = field(default_factory=free_port)
    number: int = 0
    generated: Generated | None = None
    generated_number: int = 0

    def build(self, **behaviour: object) -> VerifiedRelease:
        """The next release; nothing happens to it yet."""
        self.number += 1
        releases = Releases(self.folder, port=self.port, server=SERVER)
        return releases.build(f"1.{self.number}.0", **behaviour)

    def deploy(self, verified: VerifiedRelease, guard_seconds: float = GUARD_SECONDS) -> None:
        """Live and proven, or DeploymentFailed."""
        _go_live(self, verified, gate_of(verified.release), guard_seconds)
        self.live = verified.release

    def try_to_deploy(
        self, verified: VerifiedRelease, guard_seconds: float = GUARD_SECONDS
    ) -> str | None:
        """None when it is live and proven; else why it is not."""
        try:
            self.deploy(verified, guard_seconds)
        except DeploymentFailed as error:
            return str(error)
        return None

    def start(self) -> str:
        """The public URL of a service that has a proven release."""
        if self.live is None:
            self.deploy(self.build(), guard_seconds=0)
        live = self.state().live_release
        assert live is not None
        assert live.url is not None
        return live.url

    def state(self) -> ServiceState:
        return self.station.target.read("shop")

    def stays(self) -> str | None:
        """None if what was live is live; else what is wrong."""
        live = self.state().live
        answers = release_at(self.start())
        if self.live is None or live != self.live.id or answers != live:
            return f"{live} is live, {answers} answers"
        return None


def _go_live(
    shop: Shop, verified: VerifiedRelease, gate: Gate, guard_seconds: float = GUARD_SECONDS
) -> None:
    targets = (shop.station.target,)
    prove(deploy(verified, targets, gate, Rollout(guard_seconds=guard_seconds)), targets)


def _live_after(report: Report, verified: VerifiedRelease, began: float) -> float | None:
    """How long it took until the release had users; None if it never had."""
    seen = report.first_seen.get(verified.release.id)
    return None if seen is None else seen - began


def gate_of(release: Release) -> Gate:
    """A contract of three operations."""

    def ask(url: str) -> tuple[Check, ...]:
        marker = release_at(url)
        return (
            Check(name="marker", passed=marker == release.id, detail=f"{marker} answers"),
            *(_asked(url, method, status) for method, status in (("GET", 200), ("POST", 201))),
        )

    return ask


def _asked(url: str, method: str, wanted: int) -> Check:
    address = url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request(method, "/items", b"{}" if method == "POST" else None)
        status = connection.getresponse().status
    except OSError as error:
        return Check(name=f"{method} /items", passed=False, detail=str(error))
    finally:
        connection.close()
    return Check(name=f"{method} /items", passed=status == wanted, detail=f"status {status}")


@contextlib.contextmanager
def load(url: str, folder: Path, habits: Habits | None = None) -> Iterator[list[Report]]:
    """Users of the URL while it is open; afterwards the list holds what they met."""
    log = Path(tempfile.mkdtemp(dir=folder)) / "load"
    how = (habits or Habits()).model_dump_json()
    argv = (sys.executable, "-m", "tests.deploy_load", url, how)
    process = command.start(argv, log=log, cwd=ROOT)
    reports: list[Report] = []
    try:
        while ANSWERED not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.02)
        time.sleep(1)
        yield reports
        time.sleep(0.5)
    finally:
        command.stop(process, grace=30)
    said = log.read_text()
    reports.append(Report.model_validate_json(said.splitlines()[-1]))


# -- what happens


def baseline(shop: Shop) -> Outcome:
    with load(shop.start(), shop.folder) as reports:
        time.sleep(2 * QUIET_SECONDS)
    return Outcome(reports[0])


def good(shop: Shop) -> Outcome:
    url, verified = shop.start(), shop.build()
    with load(url, shop.folder) as reports:
        began, problem = time.monotonic(), shop.try_to_deploy(verified)
    seconds = _live_after(reports[0], verified, began)
    return Outcome(reports[0], seconds, problem or shop.stays())


def good_generated(shop: Shop) -> Outcome:
    """A real service behind its whole contract, beside the stand-in."""
    assert shop.generated is not None
    target = shop.station.target
    if shop.generated_number == 0:
        _go_live(shop, *shop.generated.release(0), guard_seconds=0)
    shop.generated_number += 1
    verified, gate = shop.generated.release(shop.generated_number)
    live = target.read(verified.release.service).live_release
    url = live.url if live and live.url else ""
    problem = None
    with load(url, shop.folder, shop.generated.habits()) as reports:
        began = time.monotonic()
        try:
            _go_live(shop, verified, gate)
        except DeploymentFailed as error:
            problem = str(error)
    return Outcome(reports[0], _live_after(reports[0], verified, began), problem)


def never_healthy(shop: Shop) -> Outcome:
    return _refused(shop, shop.build(unhealthy=True))


def lying(shop: Shop) -> Outcome:
    return _refused(shop, shop.build(broken=True))


def deceiving(shop: Shop) -> Outcome:
    return _refused(shop, shop.build(broken_for_users=True))


def crashing(shop: Shop) -> Outcome:
    return _refused(shop, shop.build(crashes_after=4), LONG_GUARD_SECONDS)


def slow(shop: Shop) -> Outcome:
    url, verified = shop.start(), shop.build()
    with load(url, shop.folder, Habits(slow_seconds=SLOW_SECONDS)) as reports:
        time.sleep(SLOW_SECONDS)
        problem = shop.try_to_deploy(verified)
    only = Report(kinds={"GET": reports[0].kinds["slow"]}, first_seen={})
    return Outcome(only, reports[0].kinds["slow"].p99_ms / 1000, problem or shop.stays())


def killed(part: Part) -> Callable[[Shop], Outcome]:
    def kill(shop: Shop) -> Outcome:
        url = shop.start()
        assert shop.live is not None
        with load(url, shop.folder) as reports:
            shop.station.kill(part, shop.live)
            time.sleep(2 * QUIET_SECONDS)
        surprise = shop.stays()
        if part == "supervisor":
            shop.station.recover()
        return Outcome(reports[0], None, surprise)

    return kill


def recovered(shop: Shop) -> Outcome:
    """Whoever supervises is killed; some time later somebody deploys."""
    url, verified = shop.start(), shop.build()
    assert shop.live is not None
    with load(url, shop.folder) as reports:
        shop.station.kill("supervisor", shop.live)
        time.sleep(1)
        began, problem = time.monotonic(), shop.try_to_deploy(verified)
    seconds = _live_after(reports[0], verified, began)
    return Outcome(reports[0], seconds, problem or shop.stays())


def _refused(shop: Shop, bad: VerifiedRelease, guard_seconds: float = GUARD_SECONDS) -> Outcome:
    with load(shop.start(), shop.folder) as reports:
        began = time.monotonic()
        refusal = shop.try_to_deploy(bad, guard_seconds)
        took = time.monotonic() - began
    return Outcome(reports[0], took, shop.stays() if refusal else "it was deployed")


SCENARIOS: dict[str, Callable[[Shop], Outcome]] = {
    "no deployment (noise)": baseline,
    "good: s until it is live": good,
    "good, a generated service: s until it is live": good_generated,
    "never healthy: s until it is refused": never_healthy,
    "/health green, business endpoint broken": lying,
    "the same, but only for users": deceiving,
    "crash 4 s after the first user": crashing,
    "slow requests in flight: their s": slow,
    "kill -9 of the switch": killed("switch"),
    "kill -9 of the live instance": killed("instance"),
    "kill -9 of what supervises it": killed("supervisor"),
    "the same, then a good deployment": recovered,
}
