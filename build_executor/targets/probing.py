"""Which release answers at an address: the version marker in `GET /health`, never a guess."""

import http.client
import itertools
import json
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from build_executor.errors import DeploymentFailed

_PROBE_SECONDS = 2.0
_POLL_SECONDS = 0.02
_POLLS_A_QUESTION = 5  # a runtime takes longer to say how it is, and it takes from the starting one
_LARGEST_ANSWER = 64 * 1024


def release_at(url: str) -> str | None:
    """The id of the release that says it is healthy at `url`; None if none does."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=_PROBE_SECONDS
    )
    try:
        connection.request("GET", "/health", headers={"Connection": "close"})
        response = connection.getresponse()
        body = json.loads(response.read(_LARGEST_ANSWER))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK or not isinstance(body, dict):
        return None
    return str(body.get("release"))


def await_release(
    url: str, release_id: str, seconds: float, complaint: Callable[[], str | None]
) -> None:
    """Return once this very release answers at `url`.

    DeploymentFailed after `seconds`, or at once if `complaint` knows that it never will.
    """
    deadline, polls = time.monotonic() + seconds, itertools.count()
    while (found := release_at(url)) != release_id:
        if next(polls) % _POLLS_A_QUESTION == 0 and (reason := complaint()) is not None:
            raise DeploymentFailed(f"{release_id} does not start: {reason}")
        if time.monotonic() > deadline:
            instead = f"{found} answers" if found else "no healthy answer"
            raise DeploymentFailed(f"{release_id} is not at {url} after {seconds:g} s: {instead}")
        time.sleep(_POLL_SECONDS)
