"""A Docker engine, asked through its SDK; what goes wrong becomes a sentence that says what to do.

The SDK takes a quarter of a second to import: only whoever opens a target with Docker imports this.
"""

import contextlib
import socket
import threading
import weakref
from collections.abc import Callable, Iterator

from docker import DockerClient
from docker.errors import APIError, BuildError, DockerException, ImageNotFound
from docker.models.images import Image

from build_executor.errors import DeploymentFailed

_CALL_SECONDS = 120  # a build can be silent for as long as its slowest step takes
_KNOCK_SECONDS = 5
_SAID = 1500


class DockerEngine:
    """The engine at one address, as `unix:///var/run/docker.sock`.

    Its connections are kept for the next call, and closed when nobody uses the engine any more.
    `knock` raises what is wrong (OSError, DeploymentFailed) if the engine does not open; `where`
    says where it is, and what to do if it is silent.
    """

    def __init__(
        self, address: str, knock: Callable[[], None] | None = None, where: str | None = None
    ) -> None:
        self.address = address
        self._where = where or f"at {address}: start it, or set DOCKER_HOST"
        self._knock = knock or (lambda: _knock_at(address))
        self._version = "auto"
        self._kept = _Kept()
        weakref.finalize(self, self._kept.drop)

    @contextlib.contextmanager
    def client(self) -> Iterator[DockerClient]:
        """The SDK's client; DeploymentFailed for what the engine cannot do."""
        try:
            self._knock()
            yield self._kept.client(self._connected)
        except BuildError as error:
            raise DeploymentFailed(f"the image cannot be built: {_build_log(error)}") from error
        except APIError as error:
            raise DeploymentFailed(_refusal(error)) from error
        except (DockerException, OSError) as error:
            self._kept.drop()
            raise DeploymentFailed(self._unreachable(error)) from error

    def image(self, name: str) -> Image:
        """The image of this name, fetched if the engine does not have it; see `client`."""
        with self.client() as client:
            try:
                return client.images.get(name)
            except ImageNotFound:
                return _fetched(client, name)

    def _connected(self) -> DockerClient:
        """One that speaks the engine's version, which is asked for once."""
        client = DockerClient(base_url=self.address, version=self._version, timeout=_CALL_SECONDS)
        self._version = client.api.api_version
        # A kept connection may have ended unnoticed: what may be asked twice is asked on another.
        adapter = client.api.get_adapter(client.api.base_url)
        adapter.max_retries = adapter.max_retries.new(total=1, read=1)
        return client

    def _unreachable(self, error: Exception) -> str:
        if isinstance(error, PermissionError):
            return (
                f"this user may not use the Docker engine at {self.address}:"
                " add it to the group `docker`, or set DOCKER_HOST"
            )
        return f"no Docker engine answers {self._where}: {error}"


class _Kept:
    """A client that is used again, by all threads, until something goes wrong."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: DockerClient | None = None

    def client(self, connect: Callable[[], DockerClient]) -> DockerClient:
        """The one that is kept, or a new one."""
        with self._lock:
            if self._client is None:
                self._client = connect()
            return self._client

    def drop(self) -> None:
        """Close it; who still waits for an answer gets it."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def _knock_at(address: str) -> None:
    """The SDK keeps the reason why nobody opens to itself, and the socket too."""
    scheme, _, path = address.partition("://")
    if scheme != "unix":
        return
    with socket.socket(socket.AF_UNIX) as knock:
        knock.settimeout(_KNOCK_SECONDS)
        knock.connect(path)


def _fetched(client: DockerClient, name: str) -> Image:
    try:
        return client.images.pull(name)
    except APIError as error:
        raise DeploymentFailed(
            f"there is no image `{name}` and it cannot be fetched:"
            f" `docker pull` or `docker load` it, or set DOCKER_BASE_IMAGE: {error.explanation}"
        ) from error


def _build_log(error: BuildError) -> str:
    said = "".join(str(line.get("stream") or line.get("error") or "") for line in error.build_log)
    return _full_disk(said) or said.strip()[-_SAID:] or str(error)


def _refusal(error: APIError) -> str:
    said = str(error.explanation or error)
    return _full_disk(said) or f"the Docker engine refuses: {said}"


def _full_disk(said: str) -> str | None:
    if "no space left on device" not in said:
        return None
    return "the Docker engine's disk is full: make room, for example with `docker image prune`"
