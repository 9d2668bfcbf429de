from collections.abc import Iterator

import pytest

from build_executor.errors import DeploymentFailed
from build_executor.targets.caddy import CaddySwitch
from build_executor.targets.caddy_admin import CaddyAdmin
from build_executor.targets.switch import Candidate, Counts, Route
from tests.caddy import Caddy
from tests.fakes.caddy import FakeCaddy
from tests.ports import free_port

FOREIGN = {"listen": [":1"], "routes": []}
CONFIG = {"apps": {"http": {"servers": {"site": FOREIGN}}, "tls": {}}, "storage": {"a": 1}}
ROUTE = Route(service="shop", port=8350, upstream="127.0.0.1:1", release="1", fence=2)
TRIAL = Candidate(
    upstream="127.0.0.1:2",
    release="2",
    share=20,
    header=("X-Try", "2"),
    cookie=("try", "2"),
    preview_port=8351,
)


@pytest.fixture
def caddy() -> Iterator[FakeCaddy]:
    with FakeCaddy(CONFIG) as fake:
        yield fake


@pytest.fixture
def switch(caddy: FakeCaddy) -> CaddySwitch:
    return CaddySwitch(CaddyAdmin(caddy.admin))


# -- the API, the fake one and the real one


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.full)])
def admin(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CaddyAdmin]:
    if request.param == "fake":
        with FakeCaddy() as fake:
            yield CaddyAdmin(fake.admin)
        return
    caddy = Caddy(tmp_path_factory.mktemp("caddy"))
    caddy.start()
    yield CaddyAdmin(caddy.admin)
    caddy.stop()


def test_what_is_written_is_read(admin: CaddyAdmin) -> None:
    config, tag = admin.read()
    wanted = {**config, "logging": {"logs": {"default": {"level": "DEBUG"}}}}

    assert admin.write(wanted, tag)

    assert admin.read()[0] == wanted


def test_what_was_changed_meanwhile_is_not_overwritten(admin: CaddyAdmin) -> None:
    config, tag = admin.read()
    changed = {**config, "logging": {}}
    assert admin.write(changed, tag)

    assert not admin.write(config, tag)

    assert admin.read()[0] == changed


def test_an_upstream_that_nobody_uses_has_nothing_in_flight(admin: CaddyAdmin) -> None:
    assert admin.in_flight("127.0.0.1:1") == 0


# -- routes in a configuration


@pytest.mark.parametrize(
    "route",
    [
        ROUTE,
        ROUTE.model_copy(update={"candidate": TRIAL}),
        ROUTE.model_copy(update={"candidate": TRIAL.model_copy(update={"header": None})}),
        ROUTE.model_copy(update={"candidate": TRIAL.model_copy(update={"cookie": None})}),
    ],
)
def test_a_route_can_be_read_back_and_removed(
    switch: CaddySwitch, caddy: FakeCaddy, route: Route
) -> None:
    switch.point(route)
    assert switch.routes() == {"shop": route}

    switch.remove("shop", 2)

    assert switch.routes() == {}
    servers = caddy.config["apps"]["http"]["servers"]
    assert sorted(servers) == ["build-executor-shop", "site"]
    assert servers["build-executor-shop"]["listen"] == []


def test_what_others_configured_stays(switch: CaddySwitch, caddy: FakeCaddy) -> None:
    switch.point(ROUTE)

    servers = caddy.config["apps"]["http"].pop("servers")
    assert caddy.config == {"apps": {"http": {}, "tls": {}}, "storage": {"a": 1}}
    assert servers["site"] == FOREIGN


def test_nothing_is_needed_in_the_configuration_before() -> None:
    with FakeCaddy() as empty:
        switch = CaddySwitch(CaddyAdmin(empty.admin))
        assert switch.routes() == {}

        switch.point(ROUTE)

        assert switch.routes() == {"shop": ROUTE}


def test_the_same_again_changes_nothing(switch: CaddySwitch, caddy: FakeCaddy) -> None:
    switch.point(ROUTE)

    switch.point(ROUTE)

    assert caddy.writes == 1


def test_the_fence_outlives_the_route(switch: CaddySwitch) -> None:
    switch.point(ROUTE)
    switch.remove("shop", 5)

    with pytest.raises(DeploymentFailed, match=r"a later deployment of shop .* \(2 < 5\)"):
        switch.point(ROUTE)


def test_somebody_elses_change_in_between_is_kept(switch: CaddySwitch, caddy: FakeCaddy) -> None:
    caddy.faults = ["none", "changed"]

    switch.point(ROUTE)

    assert switch.routes() == {"shop": ROUTE}
    assert "logging" in caddy.config


def test_upstreams_that_are_left_behind_stay_known(switch: CaddySwitch, caddy: FakeCaddy) -> None:
    for number in range(1, 20):
        switch.point(ROUTE.model_copy(update={"upstream": f"127.0.0.1:{number}"}))

    server = caddy.config["apps"]["http"]["servers"]["build-executor-shop"]
    left = [one["dial"] for one in server["routes"][-1]["handle"][0]["upstreams"]]
    assert left == [f"127.0.0.1:{number}" for number in range(11, 19)]


@pytest.mark.parametrize(
    "server",
    [
        {},
        {"routes": [{"handle": [{"handler": "vars"}]}]},
        {"routes": [{"handle": [{"build_executor": "x"}]}]},
        {"routes": [{"handle": [{"build_executor": {"route": {"port": "x"}}}]}]},
    ],
)
def test_a_server_that_somebody_damaged_is_no_route(server: object) -> None:
    servers = {"build-executor-shop": server}
    with FakeCaddy({"apps": {"http": {"servers": servers}}}) as damaged:
        switch = CaddySwitch(CaddyAdmin(damaged.admin))
        assert switch.routes() == {}

        switch.point(ROUTE)

        assert switch.routes() == {"shop": ROUTE}


# -- draining


def test_a_drain_looks_until_nothing_is_in_flight(switch: CaddySwitch, caddy: FakeCaddy) -> None:
    caddy.in_flight = {"127.0.0.1:1": [2, 1], "127.0.0.1:2": [9] * 99}

    switch.drain("127.0.0.1:1", 20)

    assert caddy.in_flight["127.0.0.1:1"] == []


def test_a_drain_gives_up_in_the_end(switch: CaddySwitch, caddy: FakeCaddy) -> None:
    caddy.in_flight = {"127.0.0.1:1": [1] * 999}

    switch.drain("127.0.0.1:1", 0.1)

    assert caddy.in_flight["127.0.0.1:1"] != []


# -- counting


OURS = 'handler="reverse_proxy",server="build-executor-shop"'
METRICS = f"""
# TYPE caddy_http_requests_total counter
caddy_http_requests_total{{{OURS}}} 12
caddy_http_requests_total{{handler="vars",server="build-executor-shop"}} 12
caddy_http_requests_total{{handler="reverse_proxy",server="site"}} 99
caddy_http_request_errors_total{{{OURS}}} 1
caddy_http_request_duration_seconds_count{{code="200",{OURS}}} 8
caddy_http_request_duration_seconds_count{{code="500",{OURS}}} 2
caddy_http_request_duration_seconds_count{{code="503",handler="vars",server="x"}} 7
go_threads 7
"""


def test_a_service_is_counted_while_it_has_one_upstream(
    switch: CaddySwitch, caddy: FakeCaddy
) -> None:
    caddy.metrics = METRICS
    switch.point(ROUTE)
    assert switch.counts("127.0.0.1:1") == Counts(answered=9, failed=3)
    assert switch.counts("127.0.0.1:2") == Counts()

    switch.point(ROUTE.model_copy(update={"candidate": TRIAL}))

    assert switch.counts("127.0.0.1:1") == Counts()


# -- a Caddy that does not do what it should


def test_nobody_at_the_address_is_an_error() -> None:
    switch = CaddySwitch(CaddyAdmin(f"http://127.0.0.1:{free_port()}"))

    with pytest.raises(DeploymentFailed, match=r"no Caddy answers at http.*: .*refused"):
        switch.routes()


def test_an_api_that_is_reached_in_another_place_hears_its_own_name(caddy: FakeCaddy) -> None:
    there = caddy.admin.removeprefix("http://")
    switch = CaddySwitch(CaddyAdmin("http://127.0.0.1:2019", lambda _: there))

    switch.point(ROUTE)

    assert caddy.writes == 1


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (["garbage"], "no Caddy answers at"),
        (["no json"], "no Caddy answers at"),
        (["untagged"], "is too old: 2.6 or newer is needed"),
        (["error"], "no Caddy of a known version at .*: unknown path"),
        (["page"], "no Caddy of a known version at .*: status 404"),
        (["none", "error"], "Caddy refuses: listen tcp: address already in use"),
    ],
)
def test_a_caddy_that_is_none_or_refuses_is_an_error(
    switch: CaddySwitch, caddy: FakeCaddy, faults: list[str], message: str
) -> None:
    caddy.faults = faults

    with pytest.raises(DeploymentFailed, match=message):
        switch.point(ROUTE)


@pytest.mark.parametrize("faults", [["end", "end"], ["none", "end"]])
def test_a_connection_that_ends_is_made_again(
    switch: CaddySwitch, caddy: FakeCaddy, faults: list[str]
) -> None:
    caddy.faults = faults

    switch.point(ROUTE)

    assert switch.routes() == {"shop": ROUTE}


def test_connections_that_always_end_are_an_error(switch: CaddySwitch, caddy: FakeCaddy) -> None:
    caddy.faults = ["end"] * 999

    with pytest.raises(DeploymentFailed, match="it ends every connection"):
        switch.routes()


def test_a_configuration_that_never_stays_is_an_error(
    switch: CaddySwitch, caddy: FakeCaddy
) -> None:
    caddy.faults = ["none", "changed"] * 99

    with pytest.raises(DeploymentFailed, match="others change Caddy all the time"):
        switch.point(ROUTE)
