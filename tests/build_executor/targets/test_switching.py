from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from build_executor.settings import Settings
from build_executor.targets.caddy import CaddySwitch
from build_executor.targets.host import Parts
from build_executor.targets.switch import Candidate, Route, Trial
from build_executor.targets.switching import switched
from tests.fakes.caddy import FakeCaddy

ROUTE = Route(service="shop", port=8350, upstream="127.0.0.1:1", release="1", fence=2)
NOTHING: Any = None


def parts(**more: Any) -> Parts:  # noqa: ANN401 - whichever part
    return Parts(store=NOTHING, ports=NOTHING, runtime=NOTHING, switch=NOTHING, **more)


@pytest.fixture
def caddy() -> Iterator[FakeCaddy]:
    with FakeCaddy() as fake:
        yield fake


def test_the_embedded_switch_is_left_as_it_is() -> None:
    assert switched(parts(), Settings()) == parts()


def test_a_caddy_is_reached_as_the_host_is(caddy: FakeCaddy) -> None:
    reached: list[str] = []

    def reach(address: str) -> str:
        reached.append(address)
        return caddy.admin

    switch = switched(parts(reach=reach), Settings(switch="caddy"), "10.0.0.1").switch
    switch.point(ROUTE)

    assert isinstance(switch, CaddySwitch)
    assert set(reached) == {"127.0.0.1:2019"}
    server = caddy.config["apps"]["http"]["servers"]["build-executor-shop"]
    assert server["listen"] == ["10.0.0.1:8350"]


def test_who_meets_a_new_release_is_set_for_all_services() -> None:
    settings = Settings(
        canary_header="X-Try:  new", canary_cookie="try=new", canary_port_offset=1000
    )

    trial = switched(parts(), settings).trial

    assert trial.candidate("127.0.0.1:2", "2", 10, 8350) == Candidate(
        upstream="127.0.0.1:2",
        release="2",
        share=10,
        header=("X-Try", "new"),
        cookie=("try", "new"),
        preview_port=9350,
    )


def test_without_settings_a_candidate_has_its_share_alone() -> None:
    alone = Candidate(upstream="127.0.0.1:2", release="2", share=10)

    assert Trial().candidate("127.0.0.1:2", "2", 10, 8350) == alone


@pytest.mark.parametrize(
    "wrong",
    [
        {"canary_header": "X-Try"},
        {"canary_header": "X Try: 1"},
        {"canary_header": "X-Try: "},
        {"canary_cookie": "try"},
        {"canary_cookie": "try=a;b"},
        {"canary_port_offset": 0},
    ],
)
def test_settings_that_match_nobody_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)
