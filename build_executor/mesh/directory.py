"""The embedded service directory: the registry of a machine that has none, in one JSON file."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, JsonValue, ValidationError

from build_executor.errors import RegistrationFailed
from build_executor.files import write_atomically
from build_executor.models import Registration, Value


class Entry(Value):
    """One service as the directory lists it."""

    name: str
    endpoint: str
    version: str
    status: str = "active"
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    updated_at: datetime


class Listing(Value):
    """The directory's file."""

    droplets: dict[str, Entry] = Field(default_factory=dict)


class ServiceDirectory:
    """A registry for this machine's processes; several may use it at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def location(self) -> str:
        """The path of its file."""
        return str(self._path)

    def register(
        self, name: str, endpoint: str, version: str, metadata: Mapping[str, JsonValue]
    ) -> Registration:
        """Make `name` point to `endpoint`; what the file says afterwards."""
        entry = Entry(
            name=name,
            endpoint=endpoint,
            version=version,
            metadata=dict(metadata),
            updated_at=datetime.now(UTC),
        )
        with self._locked():
            self._write({**self._read(), name: entry})
        return self._registration(self._read()[name])

    def find(self, name: str) -> Registration | None:
        """The entry of this name; None if there is none."""
        entry = self._read().get(name)
        return None if entry is None else self._registration(entry)

    def withdraw(self, name: str) -> None:
        """Take the entry off; nothing to do if there is none."""
        with self._locked():
            self._write({key: entry for key, entry in self._read().items() if key != name})

    def note_rollback(self, name: str, endpoint: str, restored: Mapping[str, JsonValue]) -> None:
        """Point an existing entry to the restored service, and say what it is now."""
        with self._locked():
            entries = self._read()
            if name not in entries:
                return
            changes = {
                "endpoint": endpoint,
                "version": str(restored.get("version", entries[name].version)),
                "metadata": {**entries[name].metadata, **restored},
                "updated_at": datetime.now(UTC),
            }
            self._write({**entries, name: entries[name].model_copy(update=changes)})

    def _registration(self, entry: Entry) -> Registration:
        return Registration(registry=self.location, name=entry.name, endpoint=entry.endpoint)

    def _read(self) -> dict[str, Entry]:
        try:
            return Listing.model_validate_json(self._path.read_bytes()).droplets
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            message = f"the service directory cannot be read: {self._path}"
            raise RegistrationFailed(message) from error

    def _write(self, entries: dict[str, Entry]) -> None:
        content = Listing(droplets=entries).model_dump_json(indent=2).encode() + b"\n"
        write_atomically(self._path, content)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time; the lock file is never removed, its removal would let two in."""
        lock = self._path.with_name(f"{self._path.name}.lock")
        try:
            lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)) as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                yield
        except OSError as error:
            message = f"the service directory cannot be written: {self._path}: {error}"
            raise RegistrationFailed(message) from error
