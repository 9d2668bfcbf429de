"""The stream of a build: everything it has said so far, then what it says, then how it ended.

All watchers of a build share its feed. A watcher that does not keep up is dropped; it never holds
up the others.
"""

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from api.auth import SUBPROTOCOL, Caller, Scope, identify
from api.errors import ApiError, error_response
from api.feed import Feed, Hub
from api.schemas import iso

MOST_WATCHERS = 500
HEARTBEAT_SECONDS = 15.0
COMPLETE, BROKEN = 1000, 1011
UNKNOWN_BUILD, TOKEN_EXPIRED, TOO_SLOW, UNSUPPORTED = 4404, 4401, 4408, 1003
_CLOSE_SECONDS = 1.0

router = APIRouter()


@router.websocket("/builds/{build_id}/stream")
async def stream_build(
    websocket: WebSocket, build_id: str, after: Annotated[str | None, Query()] = None
) -> None:
    """Events and log lines of a build, from its first one or from the one after the id `after`."""
    hub: Hub = websocket.app.state.hub
    try:
        caller = _admitted(websocket, hub)
        run = await hub.source.read_build(build_id)
    except ApiError as error:
        await websocket.send_denial_response(error_response(error))
        return
    await websocket.accept(_chosen_subprotocol(websocket))
    if run is None:
        await websocket.close(UNKNOWN_BUILD, "there is no such build")
        return
    async with hub.feed(run) as feed:
        await _Watcher(websocket, feed, caller, hub.send_seconds).watch(after)


class _Watcher:
    def __init__(
        self, websocket: WebSocket, feed: Feed, caller: Caller, send_seconds: float
    ) -> None:
        self._websocket, self._feed, self._caller = websocket, feed, caller
        self._send_seconds = send_seconds

    async def watch(self, after: str | None) -> None:
        """Until the build ends, the watcher leaves or fails, or the token expires."""
        sender = asyncio.create_task(self._send_all(self._feed.start_after(after)))
        listener = asyncio.create_task(self._listen())
        try:
            done, _ = await asyncio.wait(
                {sender, listener}, timeout=self._life(), return_when=asyncio.FIRST_COMPLETED
            )
            code = next((task.result() for task in done), TOKEN_EXPIRED)
        finally:
            sender.cancel()
            listener.cancel()
        if code is not None:
            await self._close(code)

    def _life(self) -> float | None:
        if self._caller.expires_at is None:
            return None
        return max(0.0, (self._caller.expires_at - datetime.now(UTC)).total_seconds())

    async def _send_all(self, index: int) -> int | None:
        """The code to close with."""
        try:
            while not self._is_through(index):
                for message in self._feed.messages[index : index + 100]:
                    index += 1
                    await self._send(message)
                await self._wait_for(index)
        except TimeoutError:
            return TOO_SLOW
        except WebSocketDisconnect:
            return None
        return BROKEN if self._feed.broken else COMPLETE

    def _is_through(self, index: int) -> bool:
        over = self._feed.ended or self._feed.broken
        return over and index >= len(self._feed.messages)

    async def _wait_for(self, index: int) -> None:
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._feed.more_than(index)
        except TimeoutError:
            beat = {"event_type": "heartbeat", "timestamp": iso(datetime.now(UTC))}
            await self._send(json.dumps(beat))

    async def _send(self, message: str) -> None:
        async with asyncio.timeout(self._send_seconds):
            await self._websocket.send_text(message)

    async def _listen(self) -> int | None:
        """Nothing is expected of a watcher; text is ignored, binary ends the stream."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            if message.get("bytes") is not None:
                return UNSUPPORTED

    async def _close(self, code: int) -> None:
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._websocket.close(code)


def _admitted(websocket: WebSocket, hub: Hub) -> Caller:
    caller = identify(websocket, websocket.app.state.adapter.settings)
    if Scope.READ not in caller.scopes:
        raise ApiError(403, "FORBIDDEN", f"the token lacks the scope `{Scope.READ}`")
    if hub.watchers >= MOST_WATCHERS:
        raise ApiError(503, "TOO_MANY_WATCHERS", f"{MOST_WATCHERS} streams are open")
    return caller


def _chosen_subprotocol(websocket: WebSocket) -> str | None:
    """A browser that offers subprotocols wants one of them back."""
    offered: list[str] = websocket.scope.get("subprotocols") or []
    plain = [name for name in offered if not name.startswith(SUBPROTOCOL)]
    return next(iter(plain or offered), None)
