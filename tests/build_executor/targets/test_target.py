"""What every target promises; the fake one keeps it too, or tests with it would prove nothing."""

import pytest

from build_executor.errors import DeployLocked, DeploymentFailed
from build_executor.models import Release
from build_executor.targets.target import Target
from tests.fakes.release import Releases
from tests.fakes.target import FakeTarget
from tests.ports import free_port


@pytest.fixture(
    params=[
        "fake",
        "local",
        "remote",
        "faintly_contained",
        "remotely_contained",
        pytest.param("behind_caddy", marks=pytest.mark.full),
        pytest.param("contained", marks=pytest.mark.full),
        pytest.param("production", marks=pytest.mark.full),
    ]
)
def target(request: pytest.FixtureRequest) -> Target:
    if request.param == "fake":
        return FakeTarget()
    real: Target = request.getfixturevalue(request.param)
    return real


@pytest.fixture
def release(releases: Releases) -> Release:
    return releases.build("1.0.0").release


def test_an_unknown_service_has_nothing(target: Target, release: Release) -> None:
    assert target.read(release.service).releases == ()


def test_what_is_recorded_under_the_lock_can_be_read(target: Target, release: Release) -> None:
    with target.locked(release.service, "build") as ledger:
        ledger.record(ledger.state.model_copy(update={"proven": ("1",)}))
        assert ledger.state.proven == ("1",)

    assert target.read(release.service).proven == ("1",)


def test_the_fence_grows_with_every_lock(target: Target, release: Release) -> None:
    with target.locked(release.service, "first") as ledger:
        first = ledger.state.fence
    with target.locked(release.service, "second") as ledger:
        second = ledger.state.fence

    assert second > first


def test_only_one_can_hold_the_lock_of_a_service(target: Target, release: Release) -> None:
    with (
        target.locked(release.service, "first"),
        pytest.raises(DeployLocked, match="build first"),
        target.locked(release.service, "second"),
    ):
        pass


def test_a_wanted_port_is_reserved(target: Target, release: Release) -> None:
    port = free_port()

    assert target.reserve_port(release.service, port) == port
    assert target.reserve_port(release.service, port) == port


def test_an_allocated_port_is_kept(target: Target, release: Release) -> None:
    port = target.reserve_port(release.service, None)

    assert target.reserve_port(release.service, None) == port


def test_a_release_that_is_not_installed_cannot_start(target: Target, release: Release) -> None:
    with pytest.raises(DeploymentFailed, match="not installed"):
        target.start(release.service, release.id)


def test_installing_and_starting_may_be_repeated(target: Target, release: Release) -> None:
    target.install(release)
    target.install(release)

    address = target.start(release.service, release.id)

    assert target.start(release.service, release.id) == address


def test_a_release_that_does_not_run_gets_no_traffic(target: Target, release: Release) -> None:
    target.install(release)

    with pytest.raises(DeploymentFailed):
        target.switch(release.service, release.id, free_port())


def test_a_running_release_gets_the_public_port(target: Target, release: Release) -> None:
    port = target.reserve_port(release.service, release.port)
    target.install(release)
    target.start(release.service, release.id)

    address = target.switch(release.service, release.id, port)

    assert address.endswith(f":{port}")
    assert target.switch(release.service, release.id, port) == address


def test_a_stopped_release_can_be_started_again(target: Target, release: Release) -> None:
    target.install(release)
    target.start(release.service, release.id)

    target.stop(release.service, release.id)
    target.stop(release.service, release.id)

    assert target.start(release.service, release.id)


def test_an_archived_release_is_gone(target: Target, release: Release) -> None:
    target.install(release)
    target.start(release.service, release.id)
    target.switch(release.service, release.id, target.reserve_port(release.service, release.port))

    target.archive(release.service, release.id)
    target.archive(release.service, release.id)

    with pytest.raises(DeploymentFailed):
        target.start(release.service, release.id)


def test_a_candidate_has_its_share_until_it_is_withdrawn(
    target: Target, releases: Releases
) -> None:
    first, second = releases.build("1.0.0").release, releases.build("2.0.0").release
    port = target.reserve_port(first.service, first.port)
    for release in (first, second):
        target.install(release)
        target.start(release.service, release.id)
    url = target.switch(first.service, first.id, port)

    target.offer(second.service, second.id, port, 50)
    assert {target.answering(url) for _ in range(60)} == {first.id, second.id}

    target.withdraw(first.service)
    target.withdraw(first.service)
    assert {target.answering(url) for _ in range(60)} == {first.id}


def test_an_archived_candidate_has_no_share_any_more(target: Target, releases: Releases) -> None:
    first, second = releases.build("1.0.0").release, releases.build("2.0.0").release
    port = target.reserve_port(first.service, first.port)
    for release in (first, second):
        target.install(release)
        target.start(release.service, release.id)
    url = target.switch(first.service, first.id, port)
    target.offer(second.service, second.id, port, 50)

    target.archive(second.service, second.id)

    assert {target.answering(url) for _ in range(60)} == {first.id}


def test_there_is_no_share_of_a_port_where_nothing_is_live(
    target: Target, release: Release
) -> None:
    target.install(release)
    target.start(release.service, release.id)

    with pytest.raises(DeploymentFailed):
        target.offer(release.service, release.id, free_port(), 50)


def test_what_the_switch_sends_to_a_release_is_counted(target: Target, release: Release) -> None:
    port = target.reserve_port(release.service, release.port)
    target.install(release)
    target.start(release.service, release.id)
    url = target.switch(release.service, release.id, port)
    before = target.counts(release.service, release.id)

    for _ in range(10):
        target.answering(url)

    after = target.counts(release.service, release.id)
    assert after.answered >= before.answered + 10
    assert after.failed == before.failed


def test_a_release_that_runs_gives_no_reason_to_complain(target: Target, release: Release) -> None:
    target.install(release)
    target.start(release.service, release.id)
    assert target.complaint(release.service, release.id) is None

    target.stop(release.service, release.id)

    assert target.complaint(release.service, release.id)


def test_nothing_was_sent_to_a_release_that_never_ran(target: Target, release: Release) -> None:
    assert target.counts(release.service, release.id).answered == 0


def test_an_archived_release_is_asked_for_its_last_words(target: Target, release: Release) -> None:
    target.install(release)
    target.start(release.service, release.id)
    words = target.log(release.service, release.id)

    target.archive(release.service, release.id)

    assert words in target.log(release.service, release.id)
