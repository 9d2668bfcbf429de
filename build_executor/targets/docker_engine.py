"""A Docker engine, asked through its SDK; what goes wrong becomes a sentence that says what to do.

The SDK takes a quarter of a second to import: only whoever opens a target with Docker imports this.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

from build_executor.errors import DeploymentFailed

_CALL_SECONDS = 120  # a build can be silent for as long as its slowest step takes
_SAID = 1500


class DockerEngine:
    """The engine at one address (`unix:///var/run/docker.sock`); connected when first asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client: Any = None

    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        """The SDK's client; DeploymentFailed for whatever the engine refuses or cannot do."""
        try:
            yield self._connected()
        except BuildError as error:
            raise DeploymentFailed(f"the image cannot be built: {_build_log(error)}") from error
        except APIError as error:
            raise DeploymentFailed(_refusal(error)) from error
        except (DockerException, OSError) as error:
            raise DeploymentFailed(self._unreachable(error)) from error

    def image(self, name: str) -> Any:  # noqa: ANN401 - the SDK has no types
        """The image of this name, fetched if the engine does not have it; see `client`."""
        with self.client() as client:
            try:
                return client.images.get(name)
            except ImageNotFound:
                return _fetched(client, name)

    def close(self) -> None:
        """Give the connections back; the next call connects anew."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> Any:  # noqa: ANN401 - the SDK has no types
        if self._client is None:
            self._client = docker.DockerClient(base_url=self.address, timeout=_CALL_SECONDS)
        return self._client

    def _unreachable(self, error: Exception) -> str:
        if "Permission denied" in str(error):
            return (
                f"this user may not use the Docker engine at {self.address}:"
                " add it to the group `docker`, or set DOCKER_HOST"
            )
        return f"no Docker engine answers at {self.address}: start it, or set DOCKER_HOST: {error}"


def _fetched(client: Any, name: str) -> Any:  # noqa: ANN401 - the SDK has no types
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
