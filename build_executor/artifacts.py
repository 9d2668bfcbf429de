"""The artifact store: one folder a build, one file an artifact, written whole.

It is what a build leaves behind for people and for the adapter; Prefect's database holds the rest.
"""

import re
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from build_executor.files import write_atomically
from build_executor.models import Value

BUILD_RECORD = "build.json"
CONTRACT = "contract.json"
GENERATION_REPORT = "generation.json"
HAND_EDITS = "hand-edits.diff"
COMPILABILITY_REPORT = "check.json"
SPEC = "SPEC.md"
PROGRESS = "progress.json"
SOURCE_ARCHIVE = "source.tar.gz"
BUILD_LOG = "build.log"
RELEASE_ARCHIVE = "release.tar.gz"
COMPATIBILITY = "compatibility.json"
VERIFICATION_LOG = "verification.log"
VERIFICATION_REPORT = "verification.json"
FUZZING_REPORT = "schemathesis.json"
REGISTRATION = "registration.json"
HEALTH_REPORT = "health.json"
ROLLBACK_REPORT = "rollback.json"
COST = "cost.json"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

V = TypeVar("V", bound=Value)


def deployment_artifact(target: str) -> str:
    """The name of the artifact that says what is live on a target."""
    return f"deployment-{target}.json"


def deployment_failure(target: str) -> str:
    """The name of the artifact that says why a release did not stay on a target."""
    return f"failure-{target}.json"


def service_log(target: str) -> str:
    """The name of the artifact that holds the last words of a failed release on a host."""
    return f"service-{target}.log"


class ArtifactStore:
    """The artifacts of all builds below one folder; names are plain file names."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, build_id: str, name: str) -> Path:
        """Where an artifact is or would be; ValueError for a name that is not a plain file name."""
        if not _NAME.fullmatch(build_id) or not _NAME.fullmatch(name):
            raise ValueError(f"not an artifact's name: {build_id}/{name}")
        return self._root / build_id / name

    def write(self, build_id: str, name: str, content: bytes) -> Path:
        """Keep `content`; an artifact of the same name is replaced."""
        path = self.path(build_id, name)
        write_atomically(path, content)
        return path

    def write_value(self, build_id: str, name: str, value: Value) -> Path:
        """Keep a value as indented JSON."""
        return self.write(build_id, name, value.model_dump_json(indent=2).encode() + b"\n")

    def read_value(self, build_id: str, name: str, model: type[V]) -> V | None:
        """The value kept under this name; None if there is none, or it is no such value."""
        try:
            return model.model_validate_json(self.path(build_id, name).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def build_ids(self) -> list[str]:
        """The builds that left artifacts, the newest first."""
        if not self._root.is_dir():
            return []
        folders = [entry for entry in self._root.iterdir() if entry.is_dir()]
        folders.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
        return [folder.name for folder in folders]

    def names(self, build_id: str) -> list[str]:
        """The names of a build's artifacts, sorted; empty for an unknown build."""
        folder = self.path(build_id, "x").parent
        if not folder.is_dir():
            return []
        return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
