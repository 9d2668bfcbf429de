"""The mesh's registry: this service's own entry, and the addresses of the others."""

import logging
from typing import Any

import httpx2

from app.config import Settings

_TIMEOUT = httpx2.Timeout(5, connect=2)
_CONFLICT = 409
_log = logging.getLogger(__name__)


async def register(settings: Settings) -> bool:
    """Announce this service; does nothing unless a registry is configured, and never fails."""
    if not settings.registry_url:
        return False
    entry = {
        "name": "payment-processor",
        "endpoint": settings.endpoint,
        "metadata": {"version": "1.0.0", "release": settings.release_id},
    }
    try:
        async with _client(settings) as client:
            answer = await client.post("/droplets", json=entry)
            if answer.status_code == _CONFLICT:
                known = (await client.get("/droplets/name/payment-processor")).json()
                answer = await client.patch(f"/droplets/{_identity(known)}", json=entry)
            answer.raise_for_status()
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        _log.warning("not registered: %s", error)
        return False
    return True


async def endpoint_of(settings: Settings, name: str) -> str | None:
    """The registered address of a service, if a registry is configured and knows it."""
    if not settings.registry_url or not name.replace("-", "").replace("_", "").isalnum():
        return None
    try:
        async with _client(settings) as client:
            answer = await client.get(f"/droplets/name/{name}")
            answer.raise_for_status()
            return str(_entry(answer.json())["endpoint"])
    except (httpx2.HTTPError, ValueError, KeyError):
        return None


async def deliver(endpoint: str, message: dict[str, Any]) -> bool:
    """Send a message to a service; whether it was accepted."""
    try:
        async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
            answer = await client.post(f"{endpoint.rstrip('/')}/message", json=message)
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return False
    return answer.is_success


async def is_available(url: str) -> bool:
    """Whether a service answers its health endpoint."""
    try:
        async with httpx2.AsyncClient(timeout=httpx2.Timeout(1.5)) as client:
            answer = await client.get(f"{url.rstrip('/')}/health")
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return False
    return answer.is_success


def _client(settings: Settings) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=settings.registry_url, timeout=_TIMEOUT)


def _entry(answer: dict[str, Any]) -> dict[str, Any]:
    return dict(answer.get("droplet", answer))


def _identity(answer: dict[str, Any]) -> str:
    return str(_entry(answer)["id"])
