"""Users of a service while it is deployed: every request counts, and nobody retries.

Half of them keep their connection and reconnect only when a response says `connection: close`, as
browsers do; the others open a connection for each request. Every other pair of them may POST.
A switch that closes kept connections between two answers drops them; what that costs is a failure
too, unless the test counts it apart.
"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Load:
    """A context manager; afterwards `answers` counts releases, `failures` what went wrong."""

    def __init__(
        self,
        url: str,
        *,
        users: int = 6,
        path: str = "/health",
        posts: bool = False,
        may_drop: bool = False,
    ) -> None:
        self._address = urlsplit(url)
        self._path = path
        self._methods = ("GET", "POST") if posts else ("GET",)
        self._stop = threading.Event()
        self._users = [
            threading.Thread(target=self._use, args=(number % 2 == 0, number // 2))
            for number in range(users)
        ]
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.dropped: list[str] = self.failures if not may_drop else []

    def __enter__(self) -> Self:
        for user in self._users:
            user.start()
        self.until(lambda: len(self.answers) > 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for user in self._users:
            user.join()

    def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait, while the users go on, until the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not reached: {self.answers} {self.failures[:3]}")
            time.sleep(0.01)

    def _use(self, keeps: bool, pair: int) -> None:  # noqa: FBT001 - a thread's argument
        connection, method = self._connection(), self._methods[pair % len(self._methods)]
        while not self._stop.wait(0.01):
            is_kept = connection.sock is not None
            try:
                connection.request(method, self._path, b"{}" if method == "POST" else None)
                response = connection.getresponse()
                body = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                (self.dropped if is_kept else self.failures).append(repr(error))
                connection.close()
                continue
            if response.status < http.HTTPStatus.BAD_REQUEST:
                self.answers[body["release"]] += 1
            else:
                self.failures.append(f"{response.status} {body}")
            if not keeps:
                connection.close()
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=30
        )
