"""Tells everybody who listens on a WebSocket what changed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from app.repository import Record, timestamp

_BACKLOG = 1000
_UNKNOWN = 4404
_TOO_SLOW = 4408
_NOUNS: dict[str, tuple[str, str]] = {
    "payments": ("payment", "payment_id"),
    "notes": ("note", "note_id"),
}


@dataclass(eq=False, slots=True)
class Subscriber:
    """One listener, and what was not sent to it yet."""

    resource: str | None
    record_id: str | None
    waiting: asyncio.Queue[dict[str, Any]] = field(
        default_factory=lambda: asyncio.Queue(maxsize=_BACKLOG)
    )
    is_late: bool = False

    def wants(self, resource: str, record_id: str) -> bool:
        """Whether a change concerns this listener."""
        return self.resource in {None, resource} and self.record_id in {None, record_id}


class Hub:
    """Hands each change to the listeners it concerns."""

    def __init__(self) -> None:
        self._subscribers: set[Subscriber] = set()

    @contextmanager
    def subscription(self, resource: str | None, record_id: str | None) -> Iterator[Subscriber]:
        """A listener that is told of changes until the block ends."""
        subscriber = Subscriber(resource, record_id)
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    def publish(self, resource: str, record_id: str, action: str, record: Record) -> None:
        """Tell of a change; a listener that does not keep up is dropped."""
        noun, id_field = _NOUNS.get(resource, (resource, "id"))
        event = {
            "event_type": f"{noun}_{action}",
            "resource": resource,
            id_field: record_id,
            "status": record.get("status"),
            "timestamp": timestamp(),
        }
        for subscriber in self._subscribers:
            if subscriber.wants(resource, record_id):
                self._put(subscriber, event)

    @staticmethod
    def _put(subscriber: Subscriber, event: dict[str, Any]) -> None:
        try:
            subscriber.waiting.put_nowait(event)
        except asyncio.QueueFull:
            subscriber.is_late = True


async def stream(websocket: WebSocket, resource: str | None, record_id: str | None) -> None:
    """Send changes until the listener leaves; an unknown record ends it with 4404."""
    await websocket.accept()
    known = websocket.app.state.repository
    if resource and record_id is not None and known.get(resource, record_id) is None:
        await websocket.close(_UNKNOWN)
        return
    hub: Hub = websocket.app.state.hub
    with hub.subscription(resource, record_id) as subscriber:
        sending = asyncio.create_task(_send(websocket, subscriber))
        try:
            while not sending.done():
                await websocket.receive()
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            sending.cancel()


async def _send(websocket: WebSocket, subscriber: Subscriber) -> None:
    while not subscriber.is_late:
        await websocket.send_json(await subscriber.waiting.get())
    await websocket.close(_TOO_SLOW)
