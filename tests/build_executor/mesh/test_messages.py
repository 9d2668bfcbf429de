from collections.abc import Iterator

import pytest

from build_executor.mesh.messages import BuildEvent, notify_sovereign_factory
from build_executor.settings import Settings
from tests.fakes.http_server import Fault
from tests.fakes.mesh import FakeSovereignFactory

EVENT = BuildEvent(
    build_id="7", service_name="shop", phase="build", error="failed_build: no", event="build_failed"
)


@pytest.fixture
def factory() -> Iterator[FakeSovereignFactory]:
    with FakeSovereignFactory() as factory:
        yield factory


def settings(url: str | None) -> Settings:
    return Settings.model_validate({"sovereign_factory_url": url})


def test_sovereign_factory_is_told_in_the_udcs_form(factory: FakeSovereignFactory) -> None:
    assert notify_sovereign_factory(settings(factory.url), EVENT)

    message = factory.messages[0]
    assert (message["source"], message["message_type"]) == ("build-executor", "event")
    assert message["trace_id"] == "7"
    assert message["payload"]["event"] == "build_failed"
    assert message["timestamp"].endswith("Z")


def test_without_its_url_nobody_is_told() -> None:
    assert not notify_sovereign_factory(settings(None), EVENT)


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.RESET, Fault.GARBAGE])
def test_a_factory_that_does_not_listen_stops_nothing(
    factory: FakeSovereignFactory, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    factory.always = fault

    assert not notify_sovereign_factory(settings(factory.url), EVENT)

    assert "sovereign-factory" in caplog.text
