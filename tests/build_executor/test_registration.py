from pathlib import Path

import pytest

from build_executor.deployment import LiveService
from build_executor.errors import RegistrationFailed
from build_executor.mesh.directory import Listing, ServiceDirectory
from build_executor.models import Deployment
from build_executor.registration import register, restore_registration
from build_executor.spec.contract import Contract

FIRST, SECOND = "http://127.0.0.1:8350", "http://127.0.0.1:8351"
CONTRACT = Contract(service="shop", version="1.2.0", features=("pay",))


@pytest.fixture
def registry(tmp_path: Path) -> ServiceDirectory:
    return ServiceDirectory(tmp_path / "directory.json")


def deployment(url: str = FIRST) -> Deployment:
    return Deployment(target="local", service="shop", release_id="1-a", build_id="7", url=url)


def test_what_is_registered_says_which_build_it_is(registry: ServiceDirectory) -> None:
    registration = register(deployment(), CONTRACT, registry)

    listing = Listing.model_validate_json(Path(registration.registry).read_bytes())
    entry = listing.droplets["shop"]
    assert (entry.endpoint, entry.version) == (FIRST, "1.2.0")
    assert entry.metadata == {
        "release_id": "1-a",
        "build_id": "7",
        "target": "local",
        "udc_version": "1.0",
        "capabilities": ["pay"],
    }


def test_a_rollback_points_to_the_restored_service(registry: ServiceDirectory) -> None:
    register(deployment(SECOND), CONTRACT, registry)

    restored = LiveService(release_id="1.1.0-a", build_id="6", url=FIRST)
    restore_registration("shop", restored, "restored 1.1.0-a", registry)

    listing = Listing.model_validate_json(Path(registry.location).read_bytes())
    entry = listing.droplets["shop"]
    assert (entry.endpoint, entry.version) == (FIRST, "1.1.0")
    assert entry.metadata["release_id"] == "1.1.0-a"
    assert entry.metadata["build_id"] == "6"
    assert entry.metadata["rollback"] == "restored 1.1.0-a"
    assert entry.metadata["capabilities"] == ["pay"]


def test_a_service_that_is_gone_is_withdrawn(registry: ServiceDirectory) -> None:
    register(deployment(), CONTRACT, registry)

    restore_registration("shop", None, "nothing to return to", registry)

    assert registry.find("shop") is None


def test_a_registry_that_cannot_be_told_is_a_failure(registry: ServiceDirectory) -> None:
    Path(registry.location).write_text("damaged")

    with pytest.raises(RegistrationFailed):
        register(deployment(), CONTRACT, registry)
