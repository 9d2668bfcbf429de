"""Images of releases: one with the dependencies, made once per lock, and the source on top of it.

The first is built by the classic builder, without a network: what it needs is in its context. The
second is the first with the source put into a container that never runs: a fifth of the time of a
build. The base is asked for its Python once, so that the wheels fit it.
"""

import contextlib
import hashlib
import io
import json
import logging
import re
import tarfile
import tempfile
from pathlib import Path
from typing import IO

from docker import DockerClient
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound
from docker.models.images import Image
from pydantic import ValidationError

from build_executor.errors import DeploymentFailed
from build_executor.files import write_atomically
from build_executor.models import Release
from build_executor.settings import Settings
from build_executor.targets.dependencies import Platform, vendored_dependencies
from build_executor.targets.docker_engine import DockerEngine
from build_executor.targets.releases import check_digest, unpack

KIND, SCOPE = "build-executor.kind", "build-executor.scope"
SERVICE, RELEASE = "build-executor.service", "build-executor.release"
_BASED_ON = "build-executor.dependencies"
INNER_PORT = 8000
GRACE_SECONDS = 5
_ASK = """
import json, platform, sys
python = "%d.%d" % sys.version_info[:2]
libc = platform.libc_ver()[0]
print(json.dumps({"machine": platform.machine(), "python": python, "libc": libc}))
"""
_OLDEST_PYTHON = (3, 11)
_COMPILE = "import compileall; compileall.compile_dir('/dependencies', quiet=2)"
_UNUSUAL = re.compile(r"[^A-Za-z0-9_.-]")
_TRIES = 3
_log = logging.getLogger(__name__)


def plain_name(service: str, release_id: str) -> str:
    """The two as one name that Docker accepts, for tags and containers; different ones differ."""
    digest = hashlib.sha256(f"{service}/{release_id}".encode()).hexdigest()[:8]
    return f"{_UNUSUAL.sub('-', f'{service}-{release_id}')[:100]}-{digest}"


class ReleaseImages:
    """The images of one target's releases; `scope` tells them from those of other targets."""

    def __init__(self, engine: DockerEngine, scope: str, settings: Settings) -> None:
        self.scope = scope
        self._engine, self._settings = engine, settings

    def name(self, service: str, release_id: str) -> str:
        """What the release's image is called, or would be."""
        return f"build-executor/{self.scope}:{plain_name(service, release_id)}"

    def find(self, service: str, release_id: str) -> str | None:
        """The id of the release's image; None if there is none."""
        with self._engine.client() as client:
            try:
                return str(client.images.get(self.name(service, release_id)).id)
            except ImageNotFound:
                return None

    def build(self, release: Release) -> None:
        """Make the release's image, unless it is there.

        DeploymentFailed if its archive is not the one that was built or holds more than plain
        files, if its dependencies cannot be had for the base image, or if the engine refuses.
        """
        if self.find(release.service, release.id) is not None:
            return
        check_digest(release)
        with tempfile.TemporaryDirectory(prefix="release-image-") as scratch:
            source = Path(scratch)
            unpack(release.archive, source)
            self._build_on_dependencies(release, source)

    def remove(self, service: str, release_id: str) -> None:
        """Remove the release's image, and what no other image needs any more."""
        with self._engine.client() as client:
            _remove_draft(client, self._draft(service, release_id))
            with contextlib.suppress(ImageNotFound):
                client.images.remove(self.name(service, release_id))
        self.prune()

    def prune(self) -> None:
        """Remove the images of dependencies that no release on this engine is made from."""
        with self._engine.client() as client:
            images = client.images.list(filters={"label": f"{KIND}=release"})
            used = {image.labels.get(_BASED_ON) for image in images}
            for image in client.images.list(filters={"label": f"{KIND}=dependencies"}):
                if image.id not in used:
                    with contextlib.suppress(APIError):  # somebody is building upon it
                        client.images.remove(image.tags[0] if image.tags else image.id)

    def _build_on_dependencies(self, release: Release, source: Path, tries: int = _TRIES) -> None:
        """Another target of this engine may prune the dependencies before they are built upon."""
        dependencies = self._dependencies(source / "requirements.txt")
        try:
            self._build_release(release, source, dependencies)
        except DeploymentFailed:
            if tries == 1 or self._exists(dependencies):
                raise
            self._build_on_dependencies(release, source, tries - 1)

    def _build_release(self, release: Release, source: Path, dependencies: str) -> None:
        """One call makes the image, whole, with all that its container was created with."""
        labels = {SERVICE: release.service, RELEASE: release.id, SCOPE: self.scope}
        repository, _, tag = self.name(release.service, release.id).rpartition(":")
        draft = self._draft(release.service, release.id)
        with tempfile.TemporaryFile() as packed, self._engine.client() as client:
            _pack_source(source, packed)
            _remove_draft(client, draft)
            client.api.create_container(
                dependencies,
                _serve(),
                name=draft,
                labels={**labels, KIND: "release", _BASED_ON: dependencies},
            )
            client.api.put_archive(draft, "/app", packed)
            client.api.commit(draft, repository, tag)
            _remove_draft(client, draft)

    def _draft(self, service: str, release_id: str) -> str:
        """The container that the release's image is made of, while it is made."""
        return f"build-executor-draft-{self.scope}-{plain_name(service, release_id)}"

    def _dependencies(self, requirements: Path) -> str:
        """The id of the image with these dependencies, made if there is none."""
        base = self._engine.image(self._settings.docker_base_image)
        platform = self._platform(base)
        packages = vendored_dependencies(requirements, platform, self._settings)
        key = hashlib.sha256(f"{base.id} {packages.key}".encode()).hexdigest()[:32]
        tag = f"build-executor/dependencies:{key}"
        with self._engine.client() as client:
            try:
                return str(client.images.get(tag).id)
            except ImageNotFound:
                _log.info("building the image of the dependencies %s", packages.key)
        with packages.archive.open("rb") as archive:
            return self._build(tag, archive, base.id)

    def _platform(self, base: Image) -> Platform:
        """What the base image says of its Python; asked once per image."""
        file = self._settings.cache / "docker-bases" / f"{base.id.partition(':')[2]}.json"
        with contextlib.suppress(FileNotFoundError, ValidationError):
            return Platform.model_validate_json(file.read_bytes())
        name = self._settings.docker_base_image
        with self._engine.client() as client:
            try:
                said = client.containers.run(
                    base.id, ["-c", _ASK], entrypoint=["python3"], network_mode="none", remove=True
                )
            except (ContainerError, APIError) as error:
                raise DeploymentFailed(f"the image `{name}` has no Python 3.11: {error}") from error
        platform = _platform_of(json.loads(said), name)
        write_atomically(file, platform.model_dump_json().encode())
        return platform

    def _build(self, tag: str, packages: IO[bytes], base: str) -> str:
        """The id of the new image of dependencies."""
        with tempfile.TemporaryFile() as context, self._engine.client() as client:
            with tarfile.open(fileobj=context, mode="w") as tar:
                _add(tar, "Dockerfile", io.BytesIO(_dependencies_dockerfile(base).encode()))
                _add(tar, "packages.tar.gz", packages)
            context.seek(0)
            image, _ = client.images.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                labels={KIND: "dependencies"},
                network_mode="none",
                rm=True,
                forcerm=True,
            )
            return str(image.id)

    def _exists(self, image: str) -> bool:
        with self._engine.client() as client:
            return any(found.id == image for found in client.images.list(all=True))


def _remove_draft(client: DockerClient, draft: str) -> None:
    with contextlib.suppress(NotFound):
        client.api.remove_container(draft, v=True, force=True)


def _platform_of(said: dict[str, str], name: str) -> Platform:
    if tuple(map(int, said["python"].split("."))) < _OLDEST_PYTHON:
        found = f"Python {said['python']}: 3.11 or newer is needed"
    elif said["libc"] != "glibc":
        found = "another C library than glibc: choose an image that is not made of Alpine"
    else:
        return Platform(python=said["python"], machine=said["machine"])
    raise DeploymentFailed(f"the image `{name}` has {found}")


def _dependencies_dockerfile(base: str) -> str:
    """By the base's id: a name that is not there would be looked for on the internet."""
    return f"""FROM {base}
USER 0
ADD packages.tar.gz /dependencies/
RUN {json.dumps(["python3", "-c", _COMPILE])}
ENV PYTHONPATH=/dependencies PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
ENTRYPOINT []
"""


def _serve() -> list[str]:
    listen = ["--host", "0.0.0.0", "--port", str(INNER_PORT)]  # noqa: S104 - the container's own
    polite = ["--no-server-header", "--timeout-graceful-shutdown", str(GRACE_SECONDS)]
    return ["python3", "-m", "uvicorn", "app.main:app", *listen, *polite]


def _pack_source(source: Path, packed: IO[bytes]) -> None:
    """Of nobody in particular: whoever made the archive has no rights in the container."""
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(source, ".", filter=_of_root)
    packed.seek(0)


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size = content.seek(0, io.SEEK_END)
    content.seek(0)
    tar.addfile(member, content)
