"""A service that honours `payments.md`, in memory; `lies` make it break the contract in one way."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from build_executor.spec.contract import Contract
from build_executor.spec.derivation import derive_contract
from tests.fakes.http_server import Answer, FakeServer, Json

RELEASE = "1.0.0-0123456789ab"
_NOW = "2026-01-02T03:04:05Z"
_FIELDS = ("payment_id", "status", "amount", "currency", "customer_email", "created_at")
_NOT_FOUND: Answer = (404, {"detail": "unknown"})
_INVALID: Answer = (422, {"detail": "invalid"})


def payments_contract() -> Contract:
    """The contract of `payments.md`, without its WebSocket: this service has none."""
    contract = derive_contract(Path(__file__).with_suffix(".md").read_text())
    spoken = tuple(o for o in contract.operations if o.method != "WS")
    return contract.model_copy(update={"operations": spoken})


@dataclass
class FakePayments(FakeServer):
    """Its lies: what it does not do although its contract says so."""

    lies: frozenset[str] = frozenset()
    payments: dict[str, Json] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def respond(self, method: str, path: str, body: Json) -> Answer:
        match method, path.strip("/").split("/"):
            case "GET", [name] if name in UDC:
                return self._told(name)
            case "POST", ["message"]:
                return self._message(body)
            case "POST", ["payments"]:
                return self._create(body)
            case "GET", ["payments"]:
                return self._list()
            case _, ["payments" | "orders", identity, *_]:
                return self._of_one(method, path, identity)
        return _NOT_FOUND

    def _told(self, name: str) -> Answer:
        if f"no {name}" in self.lies:
            return _NOT_FOUND
        told = dict(UDC[name])
        if "another release" in self.lies and name == "health":
            told["release"] = "0.9.0-other"
        return 200, told

    def _message(self, body: Json) -> Answer:
        if "trace_id" not in body and "accepts anything" not in self.lies:
            return _INVALID
        told = body.get("payload") or {}
        if told.get("resource") == "orders":
            self.payments[str(told["data"]["order_id"])] = told["data"]
        answer = {"received": True, "processed_at": _NOW, "result": "success"}
        return 200, {**answer, "trace_id": body.get("trace_id")}

    def _create(self, body: Json) -> Answer:
        if not isinstance(body, dict) and "accepts anything" not in self.lies:
            return _INVALID
        if "breaks" in self.lies:
            return 500, {"detail": "broken"}
        identity = f"pay-{next(self.numbers)}"
        server = {"payment_id": identity, "status": "pending", "created_at": _NOW}
        payment = dict.fromkeys(_FIELDS) | (body if isinstance(body, dict) else {})
        payment = {**payment, **server, "refunded_at": None}
        if "forgets" not in self.lies:
            self.payments[identity] = payment
        return 201, {} if "says nothing" in self.lies else dict(payment)

    def _list(self) -> Answer:
        entries = [] if "hides" in self.lies else list(self.payments.values())
        counts = {"total": len(entries), "pending": len(entries)}
        return 200, {"payments": entries, **counts}

    def _of_one(self, method: str, path: str, identity: str) -> Answer:
        payment = self.payments.get(identity)
        if payment is not None and "/notes" in path:
            return (200 if method == "GET" else 201), {"note_id": "n1", "text": "thanks"}
        if payment is None:
            return (200, {}) if "knows everybody" in self.lies else _NOT_FOUND
        if path.endswith("/refund") and "conflicts" in self.lies:
            return 409, {"detail": "not in a state that can be refunded"}
        if path.endswith("/refund"):
            payment.update(status="refunded", refunded_at=_NOW)
        return self._delete(identity) if method == "DELETE" else (200, self._shown(payment))

    def _delete(self, identity: str) -> Answer:
        if "keeps" not in self.lies:
            del self.payments[identity]
        return 204, None

    def _shown(self, payment: Json) -> Json:
        shown = dict(payment)
        if "rounds" in self.lies:
            shown["amount"] = 0
        if "omits" in self.lies:
            del shown["currency"]
        if "mistypes" in self.lies:
            shown["created_at"] = "yesterday"
        return shown


UDC: dict[str, dict[str, Json]] = {
    "health": {
        "status": "active",
        "service": "payment-processor",
        "name": "payment-processor",
        "version": "1.0.0",
        "release": RELEASE,
        "timestamp": _NOW,
        "updated_at": _NOW,
        "uptime_seconds": 1,
        "checks": {},
        **dict.fromkeys(("id", "steward", "endpoint", "proof", "cost_usd", "yield_usd")),
    },
    "capabilities": {
        "version": "1.0.0",
        "features": [],
        "dependencies": [],
        "udc_version": "1.0",
        "metadata": {},
        "service_name": "payment-processor",
        "capabilities": [],
        "supported_operations": [],
        "integration_endpoints": [],
    },
    "state": {
        "status": "active",
        "uptime_seconds": 1,
        "requests_total": 1,
        "errors_last_hour": 0,
        "last_restart": _NOW,
        "last_activity": _NOW,
        "mode": "normal",
        "metrics": {},
    },
    "dependencies": {
        "required": [],
        "optional": [],
        "missing": [],
        "required_services": [],
        "optional_services": [],
        "external_apis": [],
    },
    "message": {"accepts": "POST"},
}
