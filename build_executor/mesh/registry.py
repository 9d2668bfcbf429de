"""The registry: where the mesh looks a service up by its name.

A registry speaks one of the dialects below, or is the embedded service directory. An explicit id
is never sent: the running registry overwrites whoever has that id. What was registered is read
back, because an answer of 200 does not mean that the entry is there.
"""

import re
from collections.abc import Mapping
from typing import Protocol

import stamina
from pydantic import JsonValue

from build_executor.errors import NoAnswer, RegistrationFailed
from build_executor.http_client import Answer, HttpClient
from build_executor.mesh.directory import ServiceDirectory
from build_executor.models import Registration
from build_executor.settings import Settings

_PATIENCE_SECONDS = 30.0
_ABSENT = (404, 405)
_CONFLICT = 409
_REDIRECT, _SERVER_ERROR = 300, 500

Metadata = Mapping[str, JsonValue]


class Registry(Protocol):
    """Who is where. Every verb may be repeated; each raises RegistrationFailed with the reason."""

    @property
    def location(self) -> str:
        """Its URL, or the path of the embedded service directory."""

    def register(self, name: str, endpoint: str, version: str, metadata: Metadata) -> Registration:
        """Make `name` point to `endpoint`, replacing an earlier entry; what was read back."""

    def find(self, name: str) -> Registration | None:
        """The entry of this name; None if there is none."""

    def withdraw(self, name: str) -> None:
        """Take the entry off; nothing to do if there is none."""

    def note_rollback(self, name: str, endpoint: str, restored: Metadata) -> None:
        """Point the entry, if there is one, to the restored service, and say what it is now."""


def open_registry(settings: Settings) -> Registry:
    """The mesh's registry if one is set, else the embedded service directory."""
    if settings.registry_url is None:
        return ServiceDirectory(settings.directory)
    return HttpRegistry(str(settings.registry_url))


class HttpRegistry:
    """A registry over HTTP; it is asked again while it does not answer, for half a minute."""

    def __init__(self, url: str, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self.location = url.rstrip("/")
        self._patience = patience_seconds

    def register(self, name: str, endpoint: str, version: str, metadata: Metadata) -> Registration:
        """Create the entry, or update the one of this name, and read it back."""
        self._point(name, endpoint, {**metadata, "version": version})
        return self._read_back(name, endpoint)

    def find(self, name: str) -> Registration | None:
        """The entry of this name, by whichever route this registry has."""
        entry = self._entry(name)
        return None if entry is None else _registration(self.location, name, entry)

    def withdraw(self, name: str) -> None:
        """Delete the entry; where that is not possible it is marked inactive."""
        found = self.find(name)
        if found is None:
            return
        own = f"/droplets/{found.droplet_id}"
        inactive: JsonValue = {"droplet_id": found.droplet_id, "status": "inactive"}
        for method, path in (("DELETE", own), ("PATCH", own), ("POST", "/droplets/heartbeat")):
            answer = self._call(method, path, None if method == "DELETE" else inactive)
            if answer.status not in _ABSENT:
                self._accepted(answer, f"withdraw {name}")
                return
        raise self._failure(f"has no way to withdraw {name}")

    def note_rollback(self, name: str, endpoint: str, restored: Metadata) -> None:
        """Update the entry's endpoint, and its metadata by the roll-back; read it back."""
        entry = self._entry(name)
        if entry is not None:
            known = entry.get("metadata")
            metadata = known if isinstance(known, dict) else {"version": entry.get("version")}
            self._point(name, endpoint, {**metadata, **restored})
            self._read_back(name, endpoint)

    def _read_back(self, name: str, endpoint: str) -> Registration:
        found = self.find(name)
        if found is None:
            raise self._failure(f"accepted {name} but does not list it")
        if _normal(found.endpoint) != _normal(endpoint):
            raise self._failure(f"lists {name} at {found.endpoint}, not at {endpoint}")
        return found

    def _point(self, name: str, endpoint: str, metadata: dict[str, JsonValue]) -> None:
        """Create the entry, or update the one that has this name."""
        for path, body in _dialects(name, endpoint, metadata):
            answer = self._call("POST", path, body)
            if answer.status == _CONFLICT:
                self._update(name, endpoint, metadata)
                return
            if answer.status not in _ABSENT:
                self._accepted(answer, f"register {name}")
                return
        raise self._failure("has none of the known ways to register")

    def _update(self, name: str, endpoint: str, metadata: dict[str, JsonValue]) -> None:
        found = self.find(name)
        if found is None:
            raise self._failure(f"says that {name} is registered, but cannot find it")
        changes: JsonValue = {"status": "active", "endpoint": endpoint, "metadata": metadata}
        answer = self._call("PATCH", f"/droplets/{found.droplet_id}", changes)
        self._accepted(answer, f"update {name}")

    def _entry(self, name: str) -> dict[str, JsonValue] | None:
        answer = self._call("GET", f"/droplets/name/{name}")
        if answer.status not in _ABSENT:
            self._accepted(answer, f"find {name}")
            entry = answer.fields.get("droplet", answer.body)
            return entry if isinstance(entry, dict) else None
        answer = self._call("GET", "/droplets")
        if answer.status in _ABSENT:
            return None
        self._accepted(answer, f"find {name}")
        return _named(name, answer.fields.get("droplets", answer.body))

    def _call(self, method: str, path: str, body: JsonValue = None) -> Answer:
        pause = self._patience / 60
        attempts = stamina.retry_context(
            on=NoAnswer,
            attempts=5,
            timeout=self._patience,
            wait_initial=pause,
            wait_max=10 * pause,
            wait_jitter=pause,
        )
        try:
            for attempt in attempts:
                with attempt, HttpClient(self.location) as client:
                    return _unless_broken(client, method, path, body)
        except NoAnswer as error:
            raise self._failure(f"does not answer: {error.reason}") from error
        raise AssertionError  # pragma: no cover - retry_context ends with a return or a raise

    def _accepted(self, answer: Answer, what: str) -> None:
        if answer.status >= _REDIRECT:
            raise self._failure(f"refused to {what}: {answer.status} {answer.excerpt}")
        if answer.excerpt and answer.body is None:
            raise self._failure(f"answered something that is not JSON: {answer.excerpt[:100]}")

    def _failure(self, what: str) -> RegistrationFailed:
        return RegistrationFailed(f"the registry at {self.location} {what}")


def _dialects(
    name: str, endpoint: str, metadata: dict[str, JsonValue]
) -> tuple[tuple[str, JsonValue], ...]:
    """The routes a registry may have, best first, each with the body it expects."""
    version = metadata.get("version")
    port = re.search(r":(\d+)(?:/|$)", endpoint)
    described: dict[str, JsonValue] = {
        "droplet_id": name,
        "name": name,
        "endpoint": endpoint,
        "port": int(port[1]) if port else None,
        "capabilities": metadata.get("capabilities", []),
        "version": version,
        "status": "active",
    }
    return (
        ("/droplets", {"name": name, "endpoint": endpoint, "metadata": metadata}),
        ("/register", {"name": name, "url": endpoint, "endpoint": endpoint, "version": version}),
        ("/droplets/register", described),
    )


def _registration(registry: str, name: str, entry: dict[str, JsonValue]) -> Registration:
    endpoint = entry.get("endpoint") or entry.get("url") or f"http://127.0.0.1:{entry.get('port')}"
    identity = entry.get("id", entry.get("droplet_id"))
    return Registration(
        registry=registry,
        name=name,
        endpoint=str(endpoint),
        droplet_id=None if identity is None else str(identity),
    )


def _normal(endpoint: str) -> str:
    return endpoint.rstrip("/").replace("//localhost", "//127.0.0.1")


def _named(name: str, entries: JsonValue) -> dict[str, JsonValue] | None:
    listed = entries if isinstance(entries, list) else []
    return next((e for e in listed if isinstance(e, dict) and e.get("name") == name), None)


def _unless_broken(client: HttpClient, method: str, path: str, body: JsonValue) -> Answer:
    answer = client.call(method, path, body)
    if answer.status >= _SERVER_ERROR:
        raise NoAnswer(method, client.base_url + path, f"{answer.status} {answer.excerpt}")
    return answer
