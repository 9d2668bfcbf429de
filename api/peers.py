"""The droplets around this one: whether they are there, and how to reach one by the registry.

Only addresses from the settings are contacted, never one from a message, a SPEC or a peer's
answer; redirects are not followed.
"""

import asyncio
from typing import Any, Protocol

import httpx

from api.claude import ClaudeApi, Standing
from api.errors import ApiError
from api.schemas import SendRequest
from build_executor.settings import Settings

_PROBE_SECONDS = 1.5
_SEND_SECONDS = 10.0
_HEALTH_PATHS = ("/health", "/orchestrator/health")
_CLIENT_ERROR = 400

Item = dict[str, Any]


class Prefect(Protocol):
    """As much of the gateway as a probe takes."""

    async def is_ready(self) -> None:
        """Return if Prefect answers."""
        ...


def open_http() -> httpx.AsyncClient:
    """A client for peers: short patience, no proxies from the environment, no redirects."""
    return httpx.AsyncClient(timeout=_PROBE_SECONDS, trust_env=False, follow_redirects=False)


async def dependencies(
    settings: Settings, prefect: Prefect, http: httpx.AsyncClient, claude: Standing
) -> dict[str, Any]:
    """The specification's answer, probed now and all at once."""
    registry, verifier, orchestrator, factory, prefect_is = await asyncio.gather(
        _peer(http, "registry", settings.registry_url),
        _peer(http, "verifier", settings.verifier_url),
        _peer(http, "orchestrator", settings.orchestrator_url),
        _peer(http, "sovereign-factory", settings.sovereign_factory_url),
        prefect_item(prefect),
    )
    if settings.registry_url is None:
        registry = {**registry, "status": "available", "detail": "embedded service directory"}
    required, optional = [registry, verifier, prefect_is], [orchestrator, factory]
    external = [_claude(settings, claude)]
    missing = [item["name"] for item in required if item["status"] != "available"]
    return {
        "required": required,
        "optional": optional,
        "missing": missing,
        "required_services": required,
        "optional_services": optional,
        "external_apis": external,
    }


async def prefect_item(prefect: Prefect) -> Item:
    """Whether Prefect and its database answer within a second or so."""
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            await prefect.is_ready()
    except TimeoutError:
        return _item("prefect", None, available=False, detail="no answer in time")
    except ApiError as error:
        return _item("prefect", None, available=False, detail=error.message)
    return _item("prefect", None, available=True)


async def send_through_registry(
    settings: Settings, http: httpx.AsyncClient, message: SendRequest, trace_id: str
) -> tuple[bool, str]:
    """Whether the registry says that it delivered the message, and its words if it did not."""
    if settings.registry_url is None:
        return False, "no registry is configured (REGISTRY_URL), so no droplet can be found"
    url = f"{str(settings.registry_url).rstrip('/')}/send"
    body = {**message.model_dump(mode="json"), "trace_id": trace_id, "source": "build-executor"}
    try:
        answer = await http.post(url, json=body, timeout=_SEND_SECONDS)
        sent = answer.json().get("sent") is True if answer.is_success else False
    except (httpx.HTTPError, ValueError, AttributeError) as error:
        return False, f"the registry did not deliver it: {type(error).__name__}"
    return sent, "" if sent else f"the registry did not deliver it: HTTP {answer.status_code}"


async def _peer(http: httpx.AsyncClient, name: str, address: object) -> Item:
    if address is None:
        return _item(name, None, available=False, detail="not configured")
    base = str(address).rstrip("/")
    for path in _HEALTH_PATHS:
        status = await _status(http, base + path)
        if status is None:
            return _item(name, base, available=False, detail="does not answer")
        if status < _CLIENT_ERROR:
            return _item(name, base, available=True)
    return _item(name, base, available=False, detail=f"/health answers with {status}")


async def _status(http: httpx.AsyncClient, url: str) -> int | None:
    try:
        async with asyncio.timeout(_PROBE_SECONDS), http.stream("GET", url) as answer:
            return answer.status_code
    except (httpx.HTTPError, TimeoutError):
        return None


def _claude(settings: Settings, standing: Standing) -> Item:
    is_there = standing.word is ClaudeApi.CONNECTED
    url = str(settings.anthropic_base_url).rstrip("/")
    return _item("anthropic", url, available=is_there, detail=standing.detail)


def _item(name: str, url: str | None, *, available: bool, detail: str = "") -> Item:
    status = "available" if available else "unavailable"
    return {"name": name, "status": status, "url": url, "detail": detail}
