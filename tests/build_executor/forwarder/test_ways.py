import pytest

from build_executor.forwarder.routes import Candidate, Route
from build_executor.forwarder.ways import PreviewWay, PublicWay

LIVE = Route(8350, "127.0.0.1:1", "1", 1)
OTHER = "127.0.0.1:2"


Pair = tuple[str, str]


def on_trial(share: int = 0, header: Pair | None = None, cookie: Pair | None = None) -> Route:
    return LIVE._replace(candidate=Candidate(OTHER, "2", share, header, cookie))


@pytest.mark.parametrize("share", [0, 1, 10, 25, 33, 50, 99])
def test_a_share_is_exact_and_evenly_spread(share: int) -> None:
    way = PublicWay(lambda: on_trial(share))

    chosen = [way.choose(b"") == OTHER for _ in range(400)]

    assert sum(chosen) == 4 * share
    for start in range(300):
        assert abs(sum(chosen[start : start + 100]) - share) <= 1


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Try: new\r\n\r\n", OTHER),
        (b"GET / HTTP/1.1\r\nx-try:new\r\n\r\n", OTHER),
        (b"GET / HTTP/1.1\r\nx-try: old\r\n\r\n", LIVE.upstream),
        (b"GET / HTTP/1.1\r\nx-other: new\r\n\r\n", LIVE.upstream),
        (b"x-try: new\r\n\r\n", LIVE.upstream),
        (b"GET / HTTP/1.1\r\nCookie: a=b; try=new\r\n\r\n", OTHER),
        (b"GET / HTTP/1.1\r\nCookie: retry=new\r\n\r\n", LIVE.upstream),
        (b"", LIVE.upstream),
    ],
)
def test_a_header_or_a_cookie_asks_for_the_candidate(head: bytes, expected: str) -> None:
    way = PublicWay(lambda: on_trial(header=("X-try", "new"), cookie=("try", "new")))

    assert way.reads_head()
    assert way.choose(head) == expected


def test_a_header_alone_and_a_cookie_alone_are_enough() -> None:
    head = b"GET / HTTP/1.1\r\nx-try: new\r\ncookie: try=new\r\n\r\n"

    assert PublicWay(lambda: on_trial(header=("x-try", "new"))).choose(head) == OTHER
    assert PublicWay(lambda: on_trial(cookie=("try", "new"))).choose(head) == OTHER
    assert PublicWay(on_trial).choose(head) == LIVE.upstream


@pytest.mark.parametrize("route", [LIVE, on_trial(50), None])
def test_nobody_waits_for_a_head_that_decides_nothing(route: Route | None) -> None:
    assert not PublicWay(lambda: route).reads_head()
    assert not PreviewWay(lambda: route).reads_head()


def test_connections_may_stay_with_both_releases_of_a_route() -> None:
    assert PublicWay(on_trial).leads_to(LIVE.upstream)
    assert PublicWay(on_trial).leads_to(OTHER)
    assert not PublicWay(lambda: LIVE).leads_to(OTHER)
    assert not PublicWay(lambda: None).leads_to(LIVE.upstream)


def test_the_preview_is_the_candidates_alone() -> None:
    assert PreviewWay(on_trial).choose(b"") == OTHER
    assert PreviewWay(on_trial).leads_to(OTHER)
    assert not PreviewWay(on_trial).leads_to(LIVE.upstream)
    assert PreviewWay(lambda: LIVE).choose(b"") is None
    assert PreviewWay(lambda: None).upstream() is None


def test_a_removed_service_leads_nowhere() -> None:
    assert PublicWay(lambda: None).choose(b"") is None
