"""The mesh's services as their running code behaves: small, in memory, over real HTTP."""

from dataclasses import dataclass, field
from typing import Any

from tests.fakes.http_server import Answer, FakeServer, Json

_NOT_FOUND: Answer = (404, {"detail": "Not Found"})


@dataclass
class FakeRegistry(FakeServer):
    """The dialect of the registry's code: /droplets, and /register as an older form."""

    droplets: dict[int, dict[str, Any]] = field(default_factory=dict)
    forgets: bool = False
    """It says that it registered, and lists nothing."""

    def respond(self, method: str, path: str, body: Json) -> Answer:
        match method, path.strip("/").split("/"):
            case "POST", ["droplets"]:
                return self._create(body)
            case "GET", ["droplets"]:
                entries = list(self.droplets.values())
                return 200, {"droplets": entries, "total": len(entries)}
            case "GET", ["droplets", "name", name]:
                entry = self.named(name)
                return (200, {"droplet": entry}) if entry else _NOT_FOUND
            case "PATCH", ["droplets", number]:
                return self._change(int(number), body)
            case "DELETE", ["droplets", number]:
                gone = self.droplets.pop(int(number), None)
                return (200, {"success": True}) if gone else _NOT_FOUND
        return _NOT_FOUND

    def named(self, name: str) -> dict[str, Any] | None:
        return next((entry for entry in self.droplets.values() if entry["name"] == name), None)

    def _create(self, body: dict[str, Any]) -> Answer:
        if self.named(body["name"]):
            return 409, {"detail": f"Droplet with name '{body['name']}' already exists"}
        identity = body.get("id") or max(self.droplets, default=0) + 1
        entry = {"id": identity, "status": "active", "metadata": {}, **body}
        if not self.forgets:
            self.droplets[identity] = entry  # as the real one: an id in use is overwritten
        return 201, {"droplet": entry}

    def _change(self, number: int, body: dict[str, Any]) -> Answer:
        if number not in self.droplets:
            return _NOT_FOUND
        self.droplets[number] |= body
        return 200, {"droplet": self.droplets[number]}


@dataclass
class LegacyRegistry(FakeRegistry):
    """Only the older form: POST /register, without metadata; entries can be read and changed."""

    def respond(self, method: str, path: str, body: Json) -> Answer:
        if (method, path) == ("POST", "/droplets"):
            return 405, {"detail": "Method Not Allowed"}
        if (method, path) != ("POST", "/register"):
            return super().respond(method, path, body)
        status, answer = self._create({"name": body["name"], "endpoint": body["url"]})
        if status != 201:
            return status, answer
        return 200, {"success": True, "droplet_id": answer["droplet"]["id"], "message": "ok"}


@dataclass
class SpecRegistry(FakeServer):
    """The dialect of the registry's SPEC: register and heartbeat; it keeps ports, not addresses."""

    droplets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def respond(self, method: str, path: str, body: Json) -> Answer:
        match method, path:
            case "POST", "/droplets/register":
                kept = ("droplet_id", "name", "port", "capabilities", "status")
                self.droplets[body["droplet_id"]] = {key: body[key] for key in kept}
                return 200, {"registered": True}
            case "POST", "/droplets/heartbeat":
                if body["droplet_id"] not in self.droplets:
                    return _NOT_FOUND
                self.droplets[body["droplet_id"]]["status"] = body["status"]
                return 200, {"ok": True}
            case "GET", "/droplets":
                return 200, list(self.droplets.values())
        return _NOT_FOUND


@dataclass
class FakeVerifier(FakeServer):
    """Answers 202, is busy for `busy_polls`, then decides; its issue lists are always empty."""

    decision: str | None = "APPROVED"
    phases: list[dict[str, Any]] = field(default_factory=list)
    busy_polls: int = 1

    def respond(self, method: str, path: str, body: Json) -> Answer:
        match method, path.strip("/").split("/"):
            case "POST", ["verify"]:
                self.asked = body
                return 202, {"job_id": "ver-0a1b2c3d", "status": "queued"}
            case "GET", ["verify", "ver-0a1b2c3d"]:
                return 200, self._status()
            case "GET", ["verify", "ver-0a1b2c3d", "report"]:
                return 200, {"decision": self.decision, "phases": self.phases, "issues": []}
        return _NOT_FOUND

    def _status(self) -> dict[str, Any]:
        if self.busy_polls > 0:
            self.busy_polls -= 1
            return {"job_id": "ver-0a1b2c3d", "status": "running", "decision": None}
        status = "completed" if self.decision else "failed"
        return {"job_id": "ver-0a1b2c3d", "status": status, "decision": self.decision}


@dataclass
class FakeSovereignFactory(FakeServer):
    """Takes UDC messages, as its SPEC says; refuses one without its fields."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    def respond(self, method: str, path: str, body: Json) -> Answer:
        if (method, path) != ("POST", "/message"):
            return _NOT_FOUND
        needed = {"trace_id", "source", "message_type", "payload", "timestamp"}
        if missing := needed - set(body):
            return 422, {"detail": sorted(missing)}
        self.messages.append(body)
        return 200, {"received": True, "trace_id": body["trace_id"], "result": "success"}
