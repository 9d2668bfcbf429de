"""Routes as a part of Caddy's configuration, and back.

A service is one server of the `http` app, with another one for the preview of its candidate. The
route itself is kept in a `vars` handler, where Caddy allows any value; a service that was removed
keeps a server that listens nowhere, so that the fence outlives it. Upstreams that were left behind
stay in a handler nobody reaches: Caddy tells of the requests in flight only for those that are in
its configuration.

Shares are repeated upstreams taken in turn, because Caddy 2.6 knows no weights.
"""

import re
from collections.abc import Iterator, Mapping
from math import gcd
from typing import Any

from pydantic import ValidationError

from build_executor.targets.switch import Candidate, Route

Json = dict[str, Any]

_PREFIX = "build-executor-"
_PREVIEW = ".preview"
_NOTE = "build_executor"
_MOST_LEFT_BEHIND = 8
_HOLD = "3s"  # a crashed service is back after 1 to 2
_UNAVAILABLE = '{"status":"error","error":{"code":"service_unavailable"}}'
_ALL = 100


def server_of(service: str) -> str:
    """The name of the service's server."""
    return _PREFIX + service


def routes_in(config: Mapping[str, Any]) -> dict[str, Route]:
    """The routes that this configuration serves, by service."""
    routes = {}
    for name, note in _notes(config):
        try:
            routes[name] = Route(**note["route"])
        except (KeyError, TypeError, ValidationError):
            continue  # removed, or touched by somebody else: then it is nobody's
    return routes


def fence_in(config: Mapping[str, Any], service: str) -> int:
    """The highest fence under which the service was ever routed or removed."""
    return int(dict(_notes(config)).get(service, {}).get("fence", 0))


def with_route(config: Mapping[str, Any], route: Route, host: str) -> Json:
    """The configuration in which `route` replaces the service's one; ports are those of `host`."""
    left = _left_behind(config, route.service, route)
    note = {"route": route.model_dump(mode="json"), "fence": route.fence, "left": left}
    main = [_noted(note), *_for_those_who_ask(route), _proxy(_turns(route)), *_unreachable(left)]
    servers = {server_of(route.service): _server(f"{host}:{route.port}", main)}
    candidate = route.candidate
    if candidate is not None and candidate.preview_port is not None:
        preview = _server(f"{host}:{candidate.preview_port}", [_proxy([candidate.upstream])])
        servers[server_of(route.service) + _PREVIEW] = preview
    return _replaced(config, route.service, servers)


def without_route(config: Mapping[str, Any], service: str, fence: int) -> Json:
    """The configuration in which the service has no port, and `fence` is remembered."""
    left = _left_behind(config, service, None)
    note = {"route": None, "fence": fence, "left": left}
    server = {**_server("", [_noted(note), *_unreachable(left)]), "listen": []}
    return _replaced(config, service, {server_of(service): server})


def _servers(config: Mapping[str, Any]) -> Json:
    servers: Json = ((config.get("apps") or {}).get("http") or {}).get("servers") or {}
    return servers


def _notes(config: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    for name, server in _servers(config).items():
        if name.startswith(_PREFIX) and not name.endswith(_PREVIEW):
            try:
                yield name.removeprefix(_PREFIX), dict(server["routes"][0]["handle"][0][_NOTE])
            except (LookupError, TypeError, ValueError):
                continue


def _replaced(config: Mapping[str, Any], service: str, ours: Mapping[str, Any]) -> Json:
    former = {server_of(service), server_of(service) + _PREVIEW}
    kept = {name: server for name, server in _servers(config).items() if name not in former}
    apps = config.get("apps") or {}
    http = {**(apps.get("http") or {}), "servers": {**kept, **ours}}
    return {**config, "apps": {**apps, "http": http}}


def _left_behind(config: Mapping[str, Any], service: str, route: Route | None) -> list[str]:
    """The upstreams of the routes before; the last ones only."""
    known = list(dict(_notes(config)).get(service, {}).get("left", []))
    before, now = routes_in(config).get(service), _upstreams(route)
    former = [one for one in [*known, *_upstreams(before)] if one not in now]
    return list(dict.fromkeys(former))[-_MOST_LEFT_BEHIND:]


def _upstreams(route: Route | None) -> list[str]:
    if route is None:
        return []
    return [route.upstream, *([route.candidate.upstream] if route.candidate else [])]


def _turns(route: Route) -> list[str]:
    """The upstreams in the order in which connections get them: evenly spread."""
    candidate = route.candidate
    if candidate is None or not candidate.share:
        return [route.upstream]
    step = gcd(candidate.share, _ALL)
    share, count = candidate.share // step, _ALL // step
    return [
        candidate.upstream if (number + 1) * share // count > number * share // count
        else route.upstream
        for number in range(count)
    ]  # fmt: skip


def _for_those_who_ask(route: Route) -> list[Json]:
    candidate = route.candidate
    matchers = _matchers(candidate) if candidate else []
    if candidate is None or not matchers:
        return []
    proxy = _proxy([candidate.upstream, route.upstream], falls_back=True)
    return [{"match": matchers, **proxy}]


def _matchers(candidate: Candidate) -> list[Json]:
    asked = []
    if candidate.header:
        name, value = candidate.header
        asked.append((name, f"^{re.escape(value)}$"))
    if candidate.cookie:
        asked.append(("Cookie", rf"(^|;)\s*{re.escape('='.join(candidate.cookie))}\s*(;|$)"))
    return [{"header_regexp": {name: {"pattern": pattern}}} for name, pattern in asked]


def _proxy(upstreams: list[str], *, falls_back: bool = False) -> Json:
    """A route to these; in turn, or to the first of them that can be reached."""
    handler: Json = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": upstream} for upstream in upstreams],
        # No `flush_interval`: with -1, Caddy 2.6.2 panics when its configuration changes during a
        # request. Without it, answers of unknown length are passed on at once all the same.
        # An upstream that closes an idle connection fails the request that is just being sent on it
        "transport": {"protocol": "http", "keep_alive": {"idle_timeout": "2s"}},
        "load_balancing": {
            "selection_policy": {"policy": "first" if falls_back else "round_robin"},
            "try_duration": _HOLD,
            "try_interval": "50ms",
        },
    }
    if falls_back:
        handler["health_checks"] = {"passive": {"fail_duration": "1s", "max_fails": 1}}
    return {"handle": [handler], "terminal": True}


def _unreachable(upstreams: list[str]) -> list[Json]:
    return [_proxy(upstreams)] if upstreams else []


def _noted(note: Mapping[str, Any]) -> Json:
    return {"handle": [{"handler": "vars", _NOTE: dict(note)}]}


def _server(address: str, routes: list[Json]) -> Json:
    """A server for plain HTTP; its proxies' errors read as those of the embedded switch."""
    unavailable = {
        "handler": "static_response",
        "status_code": 503,
        "headers": {"Content-Type": ["application/json"], "Retry-After": ["1"]},
        "body": _UNAVAILABLE,
    }
    return {
        "listen": [address],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "metrics": {},
        "routes": routes,
        "errors": {"routes": [{"handle": [unavailable]}]},
    }
