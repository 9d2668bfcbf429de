"""How many connections a service may have, and who makes room for others.

A service may open 4096 files. Whoever opens connections and says nothing, or half a sentence, must
not be able to use them up.
"""

import asyncio
import resource
import time
from typing import Protocol

_MOST = 3000
_FILES_EACH = 4  # two are used, and other services want some as well
_MOST_KNOCKING = 64
_LOOK_SECONDS = 0.1


class Guest(Protocol):
    """A connection, as far as it can be in the way."""

    def is_idle(self) -> bool:
        """Whether nobody waits for an answer."""
        ...

    def is_stuck(self) -> bool:
        """Whether a request or an answer has not gone on for long."""
        ...

    def end(self) -> None:
        """Close it once what it is owed is sent."""
        ...

    def cut(self) -> None:
        """Close it now."""
        ...


class Crowd:
    """The connections of one service; so many of them may be `knocking` at its door at once.

    Thousands that all knock again and again would keep it, and us, from anything else.
    """

    def __init__(self) -> None:
        self.knocking = asyncio.Semaphore(_MOST_KNOCKING)
        self._guests: dict[Guest, None] = {}  # those who came first are first
        self._looked = -_LOOK_SECONDS

    def admit(self, guest: Guest) -> bool:
        """Let it in, if there is room: the oldest that are idle go for it, or that are stuck.

        A tenth of all goes at once, and ten times a second at most, since looking takes a while.
        """
        if len(self._guests) >= most_guests() and not self._make_room():
            return False
        self._guests[guest] = None
        return True

    def leave(self, guest: Guest) -> None:
        """It has gone."""
        self._guests.pop(guest, None)

    def _make_room(self) -> bool:
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return False
        self._looked = now
        leaving = [guest for guest in self._guests if guest.is_idle()][: self._some()]
        for guest in leaving:
            guest.end()
        if not leaving:
            leaving = [guest for guest in self._guests if guest.is_stuck()][: self._some()]
            for guest in leaving:
                guest.cut()
        for guest in leaving:
            self.leave(guest)
        return bool(leaving)

    def _some(self) -> int:
        return len(self._guests) // 10 + 1


def most_guests() -> int:
    """How many connections a service may have; fewer where few files may be open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(_MOST, max(1, files // _FILES_EACH))
