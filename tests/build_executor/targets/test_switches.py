"""What every switch promises: the same tests for the embedded one and for a real Caddy.

A Caddy is asked directly, as that of this machine is, and through SSH, as that of a host is.
"""

import http.client
import itertools
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import docker
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from build_executor.errors import DeploymentFailed
from build_executor.targets.caddy import CaddySwitch
from build_executor.targets.caddy_admin import CaddyAdmin
from build_executor.targets.ports import is_free
from build_executor.targets.production import production_shell
from build_executor.targets.shell import Login, Shell
from build_executor.targets.supervisor import Supervisor
from build_executor.targets.switch import Candidate, Counts, EmbeddedSwitch, Route, Switch
from build_executor.targets.switch_process import LocalSwitchProcess
from tests.caddy import FOREIGN, Caddy
from tests.docker_host import docker_host
from tests.fakes.load import Load
from tests.fakes.web import WebService
from tests.ports import free_port

pytestmark = pytest.mark.full

GOING_AWAY = 1001
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Owner:
    """A switch, how to kill it so that it has to come back by itself, and its manners.

    Whatever is changed in a Caddy, it closes all kept connections that are between two answers; and
    unless the kernel migrates them, it resets the connections that it has not accepted yet.
    """

    switch: Switch
    crash: Callable[[], None]
    drops_kept_connections: bool = False
    most_resets: int = 0


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    folder = tmp_path_factory.mktemp("embedded")
    supervisor = Supervisor(folder / "supervisor")
    supervisor.start()
    process = LocalSwitchProcess(folder / "switch", supervisor)

    def crash() -> None:
        pid = process.ask({"do": "status"}, 5)["pid"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: not psutil.pid_exists(pid))

    yield Owner(EmbeddedSwitch(process), crash)
    supervisor.shut_down()


@pytest.fixture
def caddy(caddy_process: Caddy) -> Owner:
    def crash() -> None:
        caddy_process.kill()
        caddy_process.start()

    migrates = Path("/proc/sys/net/ipv4/tcp_migrate_req").read_text().strip() == "1"
    return Owner(
        CaddySwitch(CaddyAdmin(caddy_process.admin)),
        crash,
        drops_kept_connections=True,
        most_resets=0 if migrates else 8,
    )


@pytest.fixture(scope="module")
def shell(docker_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell on a host that shares this machine's network."""
    socket = Path(docker_engine.removeprefix("unix://"))
    with (
        closing(docker.DockerClient(base_url=docker_engine)) as client,
        docker_host(client, socket, tmp_path_factory.mktemp("host")) as settings,
    ):
        yield production_shell(settings, Login.parse(settings.production_hosts[0]))


@pytest.fixture
def caddy_of_a_host(caddy: Owner, caddy_process: Caddy, shell: Shell) -> Owner:
    admin = CaddyAdmin(caddy_process.admin, lambda address: urlsplit(shell.reach(address)).netloc)
    return replace(caddy, switch=CaddySwitch(admin))


@pytest.fixture(params=["embedded", "caddy", "caddy_of_a_host"])
def owner(request: pytest.FixtureRequest) -> Owner:
    found: Owner = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def switch(owner: Owner) -> Switch:
    return owner.switch


@pytest.fixture
def old() -> Iterator[WebService]:
    with WebService("old") as service:
        yield service


@pytest.fixture
def new() -> Iterator[WebService]:
    with WebService("new") as service:
        yield service


@pytest.fixture
def route(old: WebService) -> Route:
    """A service of each test's own, which goes to `old`."""
    return Route(
        service=f"routed-{next(_numbers)}",  # the Caddy is shared with the releases of other tests
        port=free_port(),
        upstream=old.address,
        release="old",
        fence=1,
    )


def to(new: WebService, route: Route) -> Route:
    return route.model_copy(update={"upstream": new.address, "release": "new"})


def beside(new: WebService, route: Route, **who: object) -> Route:
    candidate = Candidate.model_validate({"upstream": new.address, "release": "new", **who})
    return route.model_copy(update={"candidate": candidate})


def users_of(route: Route, owner: Owner) -> Load:
    return Load(
        f"http://127.0.0.1:{route.port}",
        users=8,
        posts=True,
        may_drop=owner.drops_kept_connections,
    )


def assert_unnoticed(load: Load, owner: Owner) -> None:
    assert len(load.failures) <= owner.most_resets, load.failures
    assert all("ConnectionResetError" in failure for failure in load.failures)


def ask(port: int, path: str = "/", headers: Mapping[str, str] | None = None) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        return str(json.loads(connection.getresponse().read())["release"])
    finally:
        connection.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


# -- one route


def test_a_route_is_followed_and_can_be_read_back(switch: Switch, route: Route) -> None:
    switch.point(route)

    assert switch.routes()[route.service] == route
    assert ask(route.port) == "old"


def test_nobody_notices_that_a_route_is_moved(owner: Owner, route: Route, new: WebService) -> None:
    owner.switch.point(route)
    with users_of(route, owner) as load:
        for there in (to(new, route), route, to(new, route), route):
            before = load.answers[there.release]
            owner.switch.point(there)
            load.until(lambda: load.answers[there.release] > before + 100)  # noqa: B023 - called in the loop

    assert_unnoticed(load, owner)


def test_a_request_in_flight_is_answered_by_whom_it_was_sent_to(
    switch: Switch, route: Route, old: WebService, new: WebService
) -> None:
    switch.point(route)
    answers: list[str] = []
    asking = in_background(lambda: answers.append(ask(route.port, "/slow")))
    old.is_asked.wait(30)

    switch.point(to(new, route))
    assert ask(route.port) == "new"
    old.go_on.set()
    asking.join()

    assert answers == ["old"]


def test_a_client_waits_while_its_service_restarts(switch: Switch, route: Route) -> None:
    port = free_port()
    switch.point(route.model_copy(update={"upstream": f"127.0.0.1:{port}"}))
    answers: list[str] = []
    asking = in_background(lambda: answers.append(ask(route.port)))

    with WebService("back", port):
        asking.join()

    assert answers == ["back"]


def test_a_service_that_stays_away_is_unavailable(switch: Switch, route: Route) -> None:
    switch.point(route.model_copy(update={"upstream": f"127.0.0.1:{free_port()}"}))

    connection = http.client.HTTPConnection("127.0.0.1", route.port, timeout=20)
    connection.request("GET", "/")
    answer = connection.getresponse()

    assert answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE
    assert answer.headers["retry-after"] == "1"
    assert json.loads(answer.read())["error"]["code"] == "service_unavailable"
    connection.close()


def test_a_removed_service_gives_its_port_back(switch: Switch, route: Route) -> None:
    switch.point(route)

    switch.remove(route.service, route.fence)
    switch.remove(route.service, route.fence)

    assert route.service not in switch.routes()
    until(lambda: is_free(route.port))


def test_a_port_of_somebody_else_is_refused_and_nothing_changes(
    switch: Switch, route: Route, new: WebService
) -> None:
    switch.point(route)
    taken = int(new.address.rpartition(":")[2])

    with pytest.raises(DeploymentFailed, match=r"(?i)address already in use"):
        switch.point(route.model_copy(update={"port": taken}))

    assert switch.routes()[route.service] == route
    assert ask(route.port) == "old"


def test_a_service_can_move_to_another_port(switch: Switch, route: Route) -> None:
    switch.point(route)
    moved = route.model_copy(update={"port": free_port()})

    switch.point(moved)

    assert ask(moved.port) == "old"
    until(lambda: is_free(route.port))


def test_a_late_deployer_is_refused(switch: Switch, route: Route, new: WebService) -> None:
    switch.point(route.model_copy(update={"fence": 3}))

    with pytest.raises(DeploymentFailed, match=r"a later deployment of .* has taken over"):
        switch.point(to(new, route))
    with pytest.raises(DeploymentFailed, match=r"a later deployment of .* has taken over"):
        switch.remove(route.service, 2)
    switch.remove(route.service, 3)

    with pytest.raises(DeploymentFailed, match=r"a later deployment of .* has taken over"):
        switch.point(to(new, route))


def test_of_deployers_at_once_the_latest_wins(
    switch: Switch, route: Route, old: WebService
) -> None:
    routes = [
        route.model_copy(update={"service": f"{route.service}-{n}", "port": free_port()})
        for n in range(4)
    ]
    refused: list[str] = []

    def deploy(fence: int) -> None:
        for one in routes:
            try:
                switch.point(one.model_copy(update={"fence": fence, "release": f"{fence}"}))
            except DeploymentFailed as error:
                refused.append(str(error))

    deployers = [in_background(partial(deploy, fence)) for fence in (3, 1, 4, 2)]
    for deployer in deployers:
        deployer.join()

    assert {switch.routes()[one.service].release for one in routes} == {"4"}
    assert {ask(one.port) for one in routes} == {old.name}
    assert all("has taken over" in error for error in refused)


def test_answers_and_errors_are_counted(switch: Switch, route: Route, old: WebService) -> None:
    switch.point(route)
    for path in ("/", "/", "/broken"):
        ask(route.port, path)

    assert switch.counts(old.address) == Counts(answered=2, failed=1)


# -- a candidate


@pytest.mark.parametrize("share", [10, 33, 50])
def test_a_share_of_the_connections_is_the_candidates(
    switch: Switch, route: Route, new: WebService, share: int
) -> None:
    switch.point(beside(new, route, share=share))

    answers = Counter(ask(route.port) for _ in range(200))

    assert abs(answers["new"] - 2 * share) <= 2


def test_a_header_or_a_cookie_asks_for_the_candidate(
    switch: Switch, route: Route, new: WebService
) -> None:
    trial = beside(new, route, header=("X-Try", "n.w"), cookie=("try", "n.w"))

    switch.point(trial)

    assert switch.routes()[route.service] == trial
    assert ask(route.port, headers={"x-try": "n.w"}) == "new"
    assert ask(route.port, headers={"cookie": "a=b; try=n.w"}) == "new"
    assert ask(route.port, headers={"x-try": "new"}) == "old"
    assert ask(route.port, headers={"cookie": "retry=n.w"}) == "old"
    assert ask(route.port) == "old"


def test_the_preview_port_is_the_candidates_until_it_is_promoted(
    switch: Switch, route: Route, new: WebService
) -> None:
    preview = free_port()
    switch.point(beside(new, route, preview_port=preview))

    assert (ask(route.port), ask(preview)) == ("old", "new")
    switch.point(to(new, route))

    assert ask(route.port) == "new"
    until(lambda: is_free(preview))


def test_a_removed_service_gives_its_preview_port_back(
    switch: Switch, route: Route, new: WebService
) -> None:
    preview = free_port()
    switch.point(beside(new, route, preview_port=preview))

    switch.remove(route.service, route.fence)

    until(lambda: is_free(preview) and is_free(route.port))


@pytest.mark.parametrize("who", [{"share": 50}, {"header": ("x-try", "new")}])
def test_nobody_suffers_from_a_candidate_that_is_gone(
    switch: Switch, route: Route, who: dict[str, object]
) -> None:
    with WebService("gone") as gone:
        trial = beside(gone, route, **who)
    switch.point(trial)

    assert {ask(route.port, headers={"x-try": "new"}) for _ in range(20)} == {"old"}


def test_nobody_notices_that_a_candidate_comes_and_goes(
    owner: Owner, route: Route, new: WebService
) -> None:
    owner.switch.point(route)
    with users_of(route, owner) as load:
        for share in (10, 50, 0):
            trial = beside(new, route, share=share, header=("x-try", "new"))
            owner.switch.point(trial)
            before = load.answers.total()
            load.until(lambda: load.answers.total() > before + 100)  # noqa: B023 - called in the loop
        owner.switch.point(route)

    assert_unnoticed(load, owner)
    assert load.answers["new"] > 10


# -- draining


def test_a_drain_returns_when_the_last_answer_is_given(
    switch: Switch, route: Route, old: WebService, new: WebService
) -> None:
    switch.point(route)
    answers: list[str] = []
    asking = in_background(lambda: answers.append(ask(route.port, "/slow")))
    old.is_asked.wait(30)
    switch.point(to(new, route))
    draining = in_background(lambda: switch.drain(old.address, 20))

    draining.join(0.3)
    assert draining.is_alive()
    old.go_on.set()
    draining.join(30)

    assert not draining.is_alive()
    asking.join()
    assert answers == ["old"]


def test_a_drain_ends_when_its_time_is_over(switch: Switch, route: Route, old: WebService) -> None:
    switch.point(route)

    def give_up() -> None:
        with suppress(OSError, http.client.HTTPException):
            ask(route.port, "/slow")

    asking = in_background(give_up)
    old.is_asked.wait(30)

    switch.drain(old.address, 0.2)

    assert not old.go_on.is_set()
    old.go_on.set()
    asking.join()


def test_an_idle_upstream_is_drained_at_once(switch: Switch, route: Route) -> None:
    switch.point(route)
    ask(route.port)

    switch.drain(route.upstream, 20)
    switch.drain("127.0.0.1:1", 20)


# -- WebSockets


def test_a_websocket_is_carried(switch: Switch, route: Route) -> None:
    switch.point(route)

    with connect(f"ws://127.0.0.1:{route.port}/stream") as client:
        client.send("hello")

        assert client.recv(timeout=30) == "hello"


def test_a_websocket_is_told_when_its_upstream_goes(
    switch: Switch, route: Route, old: WebService, new: WebService
) -> None:
    switch.point(route)
    with connect(f"ws://127.0.0.1:{route.port}/stream") as client:
        client.send("hello")
        client.recv(timeout=30)

        switch.point(to(new, route))
        switch.drain(old.address, 0.1)

        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=30)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == GOING_AWAY
    assert old.is_left.wait(30)


# -- coming back


def test_routes_come_back_after_a_crash(owner: Owner, route: Route, new: WebService) -> None:
    preview = free_port()
    trial = beside(new, route, header=("x-try", "new"), preview_port=preview)
    owner.switch.point(trial)

    owner.crash()
    until(lambda: not is_free(route.port) and not is_free(preview))

    assert ask(route.port) == "old"
    assert ask(route.port, headers={"x-try": "new"}) == "new"
    assert ask(preview) == "new"
    assert owner.switch.routes()[route.service] == trial
    with pytest.raises(DeploymentFailed, match="has taken over"):
        owner.switch.point(route.model_copy(update={"fence": 0}))


# -- what only one of them promises


def test_the_embedded_switch_leaves_websockets_alone_while_routes_move(
    embedded: Owner, route: Route, new: WebService
) -> None:
    embedded.switch.point(route)
    with connect(f"ws://127.0.0.1:{route.port}/stream") as client:
        embedded.switch.point(to(new, route))
        client.send("still here")

        assert client.recv(timeout=30) == "still here"


def test_another_site_of_the_same_caddy_is_left_alone(
    caddy: Owner, caddy_process: Caddy, route: Route, new: WebService
) -> None:
    before = caddy_process.config()["apps"]["http"]["servers"]["foreign"]

    caddy.switch.point(beside(new, route, share=10, preview_port=free_port()))
    caddy.switch.remove(route.service, route.fence)

    assert caddy_process.config()["apps"]["http"]["servers"]["foreign"] == before
    site = http.client.HTTPConnection("127.0.0.1", caddy_process.foreign_port, timeout=30)
    site.request("GET", "/")
    assert site.getresponse().read().decode() == FOREIGN
    site.close()


def test_what_is_so_already_is_not_written_again(caddy: Owner, route: Route) -> None:
    caddy.switch.point(route)
    with connect(f"ws://127.0.0.1:{route.port}/stream") as client:
        caddy.switch.point(route)  # a change would end it: Caddy 2.6 closes all WebSockets then
        client.send("still here")

        assert client.recv(timeout=30) == "still here"


def test_a_caddy_that_is_away_is_an_error(route: Route) -> None:
    away = CaddySwitch(CaddyAdmin(f"http://127.0.0.1:{free_port()}"))

    with pytest.raises(DeploymentFailed, match="no Caddy answers at http"):
        away.point(route)
