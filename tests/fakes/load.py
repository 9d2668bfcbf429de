"""Users of a service while it is deployed: every request counts, and nobody retries.

Half of them keep their connection and reconnect only when a response says `connection: close`, as
browsers do; the others open a connection for each request.
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

    def __init__(self, url: str, *, users: int = 6, path: str = "/health") -> None:
        self._address = urlsplit(url)
        self._path = path
        self._stop = threading.Event()
        self._users = [
            threading.Thread(target=self._use, args=(number % 2 == 0,)) for number in range(users)
        ]
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []

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

    def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        """Wait, while the users go on, until the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not reached: {self.answers} {self.failures[:3]}")
            time.sleep(0.01)

    def _use(self, keeps: bool) -> None:  # noqa: FBT001 - a thread's argument
        connection = self._connection()
        while not self._stop.wait(0.01):
            try:
                connection.request("GET", self._path)
                response = connection.getresponse()
                body = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(repr(error))
                connection.close()
                continue
            if response.status == http.HTTPStatus.OK:
                self.answers[body["release"]] += 1
            else:
                self.failures.append(f"{response.status} {body}")
            if not keeps:
                connection.close()
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=10
        )
