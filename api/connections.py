"""A connection to the adapter: it may not be kept without asking something.

uvicorn bounds how long a connection idles after an answer, and how large a request's headers are,
but not how long they may take: a client that sends half of them would be waited for for ever.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


class PromptConnection(H11Protocol):
    """Closed when no whole request is here within `request_seconds` of its start, or of an answer.

    What is being answered may take its time, as may a WebSocket: `Limits` bounds a body's.
    """

    request_seconds = 10.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """A client came."""
        super().connection_made(transport)
        self._await_request()

    def on_response_complete(self) -> None:
        """A request is answered; the next one may be here already."""
        super().on_response_complete()
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client went."""
        self._forget_deadline()
        super().connection_lost(exc)

    def close_if_idle(self) -> None:
        """Close it unless a request is being answered, or a WebSocket took it over."""
        is_taken_over = self.transport.get_protocol() is not self
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if not is_taken_over and not is_answering:
            self.transport.close()

    def _await_request(self) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(self.request_seconds, self.close_if_idle)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
