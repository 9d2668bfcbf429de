from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build_executor.errors import RegistrationFailed
from build_executor.mesh.directory import ServiceDirectory
from build_executor.mesh.registry import HttpRegistry, Registry, open_registry
from build_executor.phases import ErrorState
from build_executor.settings import Settings
from tests.fakes.http_server import Answer, FakeServer, Fault
from tests.fakes.mesh import FakeRegistry, LegacyRegistry, SpecRegistry

SHOP, FIRST, SECOND = "shop", "http://127.0.0.1:8350", "http://127.0.0.1:8351"
QUICK = 0.3


@pytest.fixture(params=[FakeRegistry, LegacyRegistry, SpecRegistry, ServiceDirectory])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """Each kind of registry, empty."""
    if request.param is ServiceDirectory:
        yield ServiceDirectory(tmp_path / "home" / "directory.json")
        return
    with request.param() as server:
        yield HttpRegistry(server.url, patience_seconds=QUICK)


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    with FakeRegistry() as server:
        yield server


def register(registry: Registry, endpoint: str = FIRST) -> None:
    registry.register(SHOP, endpoint, "1.0.0", {"release_id": "1.0.0-abc"})


def test_a_registered_service_is_found(registry: Registry) -> None:
    registered = registry.register(SHOP, FIRST, "1.0.0", {"capabilities": ["pay"]})

    assert registered == registry.find(SHOP)
    assert (registered.name, registered.endpoint) == (SHOP, FIRST)
    assert registered.registry == registry.location


def test_registering_again_moves_the_entry(registry: Registry) -> None:
    register(registry)
    register(registry, SECOND)

    found = registry.find(SHOP)

    assert found is not None
    assert found.endpoint == SECOND


def test_an_unknown_service_is_not_found(registry: Registry) -> None:
    assert registry.find(SHOP) is None


def test_a_withdrawn_service_is_not_offered_any_more(registry: Registry) -> None:
    register(registry)

    registry.withdraw(SHOP)
    registry.withdraw("never-registered")

    found = registry.find(SHOP)
    assert found is None or isinstance(registry, HttpRegistry)  # the SPEC's dialect: inactive


def test_a_rollback_points_the_entry_back(registry: Registry) -> None:
    register(registry, SECOND)

    registry.note_rollback(SHOP, FIRST, {"rollback": "1.0.0-abc restored"})

    found = registry.find(SHOP)
    assert found is not None
    assert found.endpoint == FIRST


def test_a_rollback_registers_nothing_that_was_not_registered(registry: Registry) -> None:
    registry.note_rollback(SHOP, FIRST, {"rollback": "restored"})

    assert registry.find(SHOP) is None


def test_a_registry_that_does_not_follow_a_rollback_is_a_failure() -> None:
    class Stubborn(FakeRegistry):
        def _change(self, number: int, body: dict[str, Any]) -> Answer:
            return super()._change(number, {**body, "endpoint": SECOND})

    with Stubborn() as server:
        registry = HttpRegistry(server.url, patience_seconds=0.1)
        register(registry, SECOND)

        with pytest.raises(RegistrationFailed, match=f"at {SECOND}, not at {FIRST}"):
            registry.note_rollback(SHOP, FIRST, {"rollback": "restored"})


def test_an_id_is_never_sent(server: FakeRegistry) -> None:
    register(HttpRegistry(server.url))

    assert all("id" not in (request.body or {}) for request in server.requests)


def test_a_rollback_keeps_the_other_metadata(server: FakeRegistry) -> None:
    registry = HttpRegistry(server.url)
    register(registry)

    registry.note_rollback(SHOP, FIRST, {"version": "0.9.0", "rollback": "back to 1"})

    entry = server.named(SHOP)
    assert entry is not None
    assert entry["metadata"] == {
        "release_id": "1.0.0-abc",
        "version": "0.9.0",
        "rollback": "back to 1",
    }


def test_a_withdrawn_entry_of_the_specs_dialect_is_inactive() -> None:
    with SpecRegistry() as server:
        registry = HttpRegistry(server.url)
        register(registry)

        registry.withdraw(SHOP)

        assert server.droplets[SHOP]["status"] == "inactive"


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.RESET, Fault.GARBAGE])
def test_a_passing_fault_is_retried(server: FakeRegistry, fault: Fault) -> None:
    server.faults = [fault, fault]

    register(HttpRegistry(server.url, patience_seconds=5))

    assert server.named(SHOP) is not None


def test_an_answer_that_was_lost_leaves_one_entry(server: FakeRegistry) -> None:
    registry = HttpRegistry(server.url, patience_seconds=5)
    server.droplets[7] = {"id": 7, "name": SHOP, "endpoint": FIRST, "metadata": {}}

    register(registry)

    assert [entry["name"] for entry in server.droplets.values()] == [SHOP]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.SERVER_ERROR, "does not answer: 500"),
        (Fault.NOT_FOUND, "none of the known ways to register"),
        (Fault.HTML, "not JSON"),
        (Fault.WRONG_SCHEMA, "does not list it"),
        (Fault.RESET, "does not answer"),
        (Fault.GARBAGE, "does not answer"),
        (Fault.REDIRECT, "refused to register shop: 302"),
        (Fault.HUGE, "larger than 1 MiB"),
    ],
)
def test_a_lasting_fault_says_what_is_wrong(
    server: FakeRegistry, fault: Fault, reason: str
) -> None:
    server.always = fault

    with pytest.raises(RegistrationFailed, match=reason) as failure:
        register(HttpRegistry(server.url, patience_seconds=QUICK))

    assert failure.value.state is ErrorState.REGISTRATION


def test_a_registry_that_only_says_so_has_not_registered(server: FakeRegistry) -> None:
    server.forgets = True

    with pytest.raises(RegistrationFailed, match="accepted shop but does not list it"):
        register(HttpRegistry(server.url))


class Stubborn(FakeRegistry):
    """Accepts every change and keeps the first."""

    def _change(self, number: int, _: object) -> tuple[int, object]:
        return 200, {"droplet": self.droplets[number]}


def test_an_entry_that_points_elsewhere_is_a_failure() -> None:
    with Stubborn() as server:
        registry = HttpRegistry(server.url)
        register(registry)

        with pytest.raises(RegistrationFailed, match=f"lists shop at {FIRST}, not at {SECOND}"):
            register(registry, SECOND)


class Amnesiac(FakeRegistry):
    """Knows that a name is taken, and not by whom."""

    def named(self, _: str) -> None:
        return None

    def _create(self, _: object) -> tuple[int, object]:
        return 409, {"detail": "already exists"}


def test_a_name_that_is_taken_by_nobody_is_a_failure() -> None:
    with Amnesiac() as server, pytest.raises(RegistrationFailed, match="cannot find it"):
        register(HttpRegistry(server.url))


class ReadOnly(FakeRegistry):
    """Lists, and lets nobody change anything."""

    def respond(self, method: str, path: str, body: object) -> tuple[int, object]:
        return super().respond(method, path, body) if method == "GET" else (405, {})


def test_an_entry_that_nobody_may_change_cannot_be_withdrawn() -> None:
    with ReadOnly() as server:
        server.droplets[1] = {"id": 1, "name": SHOP, "endpoint": FIRST}

        with pytest.raises(RegistrationFailed, match="no way to withdraw shop"):
            HttpRegistry(server.url).withdraw(SHOP)


def test_an_absent_registry_is_named() -> None:
    with FakeServer() as server:
        gone = server.url

    with pytest.raises(RegistrationFailed, match="does not answer"):
        HttpRegistry(gone, patience_seconds=QUICK).find(SHOP)


def test_a_registry_without_any_list_finds_nothing(server: FakeRegistry) -> None:
    server.always = Fault.NOT_FOUND

    assert HttpRegistry(server.url).find(SHOP) is None


def test_the_setting_decides_which_registry_is_used(tmp_path: Path) -> None:
    embedded = open_registry(Settings(build_executor_home=tmp_path))
    meshed = open_registry(Settings.model_validate({"registry_url": FIRST}))

    assert str(tmp_path / "directory.json") == embedded.location
    assert meshed.location == FIRST
