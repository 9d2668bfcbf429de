"""What a host makes of its parts: the order of its steps, the fences it sends, what it believes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from build_executor.errors import DeploymentFailed
from build_executor.targets.host import HostTarget, Parts, Patience
from build_executor.targets.releases import ReleaseStore
from build_executor.targets.store import Ledger
from build_executor.targets.switch import Candidate, Counts, Route, Trial
from tests.fakes.http_server import Answer, FakeServer, Json

SHOP, PORT = "shop", 8350
NEW_FENCE = 1


class FakeService(FakeServer):
    """Says that it is one release."""

    release = "1"

    def respond(self, method: str, path: str, body: Json) -> Answer:
        assert (method, path, body) == ("GET", "/health", None)
        return 200, {"release": self.release}


@dataclass
class FakeParts:
    """A runtime, a switch and ports that note what they are asked to do, in order."""

    did: list[str] = field(default_factory=list)
    routed: dict[str, Route] = field(default_factory=dict)

    def reserve(self, service: str, wanted: int | None, routed: object) -> int:
        raise NotImplementedError

    def start(self, service: str, release_id: str) -> str:
        raise NotImplementedError

    def address(self, service: str, release_id: str) -> str | None:
        return None if f"stop {service} {release_id}" in self.did else f"127.0.0.1:{release_id}"

    def complaint(self, service: str, release_id: str) -> str | None:
        raise NotImplementedError

    def log(self, service: str, release_id: str) -> str:
        return (
            ""
            if f"stop {service} {release_id}" in self.did
            else f"last words of {service} {release_id}"
        )

    def stop(self, service: str, release_id: str) -> None:
        self.did.append(f"stop {service} {release_id}")

    def routes(self) -> dict[str, Route]:
        return self.routed

    def point(self, route: Route) -> None:
        self.routed[route.service] = route

    def remove(self, service: str, fence: int) -> None:
        self.did.append(f"remove {service} {fence}")
        del self.routed[service]

    def drain(self, upstream: str, seconds: float) -> None:
        self.did.append(f"drain {upstream} for {seconds:g} s")

    def counts(self, upstream: str) -> Counts:
        raise NotImplementedError


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService() as service:
        yield service


@pytest.fixture
def parts() -> FakeParts:
    return FakeParts()


@pytest.fixture
def target(parts: FakeParts, service: FakeService, tmp_path: Path) -> HostTarget:
    of_a_host = Parts(
        store=ReleaseStore(tmp_path, lock_seconds=0),
        ports=parts,
        runtime=parts,
        switch=parts,
        public_url=lambda _: service.url,
        trial=Trial(header=("X-Try", "new"), cookie=("try", "new"), port_offset=1000),
    )
    return HostTarget("host", of_a_host, patience=Patience(start=0, switch=0, drain=3))


def route(release_id: str, candidate: Candidate | None = None) -> Route:
    return Route(
        service=SHOP,
        port=PORT,
        upstream=f"127.0.0.1:{release_id}",
        release=release_id,
        fence=NEW_FENCE,
        candidate=candidate,
    )


def candidate(release_id: str, share: int = 10) -> Candidate:
    return Candidate(
        upstream=f"127.0.0.1:{release_id}",
        release=release_id,
        share=share,
        header=("X-Try", "new"),
        cookie=("try", "new"),
        preview_port=PORT + 1000,
    )


def locked(target: HostTarget) -> Ledger:
    with target.locked(SHOP, "build") as ledger:
        return ledger


def test_traffic_is_moved_under_the_fence_of_the_lock(
    target: HostTarget, parts: FakeParts, service: FakeService
) -> None:
    locked(target)

    assert target.switch(SHOP, "1", PORT) == service.url

    assert parts.routed == {SHOP: route("1")}


def test_a_switch_is_not_believed_until_users_meet_the_release(
    target: HostTarget, service: FakeService
) -> None:
    service.release = "another"

    with pytest.raises(DeploymentFailed, match=r"1 is not at http.*: another answers"):
        target.switch(SHOP, "1", PORT)


def test_a_release_is_offered_to_its_share_and_to_whoever_asks(
    target: HostTarget, parts: FakeParts
) -> None:
    parts.routed = {SHOP: route("1").model_copy(update={"fence": 0})}
    locked(target)

    target.offer(SHOP, "2", PORT, 25)

    assert parts.routed == {SHOP: route("1", candidate("2", 25))}


def test_nothing_is_offered_on_a_port_that_is_not_the_services(
    target: HostTarget, parts: FakeParts
) -> None:
    parts.routed = {SHOP: route("1")}

    with pytest.raises(DeploymentFailed, match="nothing of shop is live on port 1"):
        target.offer(SHOP, "2", 1, 25)


def test_what_was_offered_is_withdrawn_with_its_preview_and_its_header(
    target: HostTarget, parts: FakeParts
) -> None:
    parts.routed = {SHOP: route("1", candidate("2"))}

    target.withdraw(SHOP)

    assert parts.routed == {SHOP: route("1")}


def test_requests_in_flight_are_answered_before_a_release_is_stopped(
    target: HostTarget, parts: FakeParts
) -> None:
    target.stop(SHOP, "1")

    assert parts.did == ["drain 127.0.0.1:1 for 3 s", "stop shop 1"]


def test_an_archived_release_gives_its_port_back_first(
    target: HostTarget, parts: FakeParts
) -> None:
    parts.routed = {SHOP: route("1")}
    locked(target)

    target.archive(SHOP, "1")

    assert parts.did == [f"remove shop {NEW_FENCE}", "drain 127.0.0.1:1 for 3 s", "stop shop 1"]
    assert target.log(SHOP, "1") == "last words of shop 1"


def test_an_archived_candidate_is_withdrawn(target: HostTarget, parts: FakeParts) -> None:
    parts.routed = {SHOP: route("1", candidate("2"))}

    target.archive(SHOP, "2")

    assert parts.routed == {SHOP: route("1")}


def test_a_release_that_is_not_installed_is_not_started(target: HostTarget) -> None:
    with pytest.raises(DeploymentFailed, match="shop 1 is not installed"):
        target.start(SHOP, "1")
