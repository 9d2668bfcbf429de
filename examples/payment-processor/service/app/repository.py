"""Records in SQLite: one table of JSON documents, addressed by resource and id.

Every statement is constant and takes its values as parameters. Records outlive releases, so a field
that a newer release adds is simply absent from older records.
"""

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.errors import ConflictError, NotFoundError

Record = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    resource TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (resource, id)
)
"""
_MATCHING = """
FROM records
WHERE resource = :resource
  AND NOT EXISTS (
    SELECT 1 FROM json_each(:equals) AS wanted
    WHERE NOT EXISTS (
      SELECT 1 FROM json_each(records.data, wanted.fullkey) AS held  -- a list holds several
      WHERE held.value IS wanted.value
    )
  )
  AND NOT EXISTS (
    SELECT 1 FROM json_each(:minimum) AS lowest
    WHERE json_extract(records.data, lowest.fullkey) IS NULL
       OR json_extract(records.data, lowest.fullkey) < lowest.value
  )
  AND NOT EXISTS (
    SELECT 1 FROM json_each(:maximum) AS highest
    WHERE json_extract(records.data, highest.fullkey) IS NULL
       OR json_extract(records.data, highest.fullkey) > highest.value
  )
  AND (
    :search = '' OR EXISTS (
      SELECT 1 FROM json_tree(records.data) AS leaf
      WHERE leaf.type = 'text' AND instr(lower(leaf.value), lower(:search)) > 0
    )
  )
"""
_ORDERED = """
ORDER BY
  CASE WHEN :sort <> '' AND NOT :descending THEN json_extract(data, :sort) END ASC,
  CASE WHEN :sort <> '' AND :descending THEN json_extract(data, :sort) END DESC,
  CASE WHEN :sort = '' AND :descending THEN -position ELSE position END
LIMIT :limit OFFSET :offset
"""
_LARGEST_INTEGER = 2**63 - 1  # SQLite knows no larger one
_FIND = "SELECT data" + _MATCHING + _ORDERED
_COUNT = "SELECT COUNT(*)" + _MATCHING


@dataclass(frozen=True, slots=True)
class Query:
    """Which records of a resource are wanted; a value of None does not restrict."""

    resource: str
    equals: Mapping[str, object] = field(default_factory=dict)
    minimum: Mapping[str, object] = field(default_factory=dict)
    maximum: Mapping[str, object] = field(default_factory=dict)
    search: str | None = None
    sort: str | None = None
    descending: bool = False
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the matching records, and how many match in all."""

    records: list[Record]
    total: int


def timestamp() -> str:
    """Now, in UTC, as text that sorts by time."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def new_id(prefix: str = "") -> str:
    """An id that was never used before."""
    return f"{prefix}{uuid.uuid4()}"


class Repository:
    """The only place that speaks SQL."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=10
        )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(_SCHEMA)
        self._listeners: list[Callable[[str, str, str, Record], None]] = []

    def close(self) -> None:
        """End the use of the database file."""
        self._database.close()

    def is_usable(self) -> bool:
        """Whether the database answers."""
        try:
            self._database.execute("SELECT 1")
        except sqlite3.Error:
            return False
        return True

    def subscribe(self, listener: Callable[[str, str, str, Record], None]) -> None:
        """Tell `listener` of every change: resource, id, what was done, the record."""
        self._listeners.append(listener)

    def _tell(self, resource: str, record_id: str, action: str, record: Record) -> None:
        for listener in self._listeners:
            listener(resource, record_id, action, record)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is read and written inside happens at once, or not at all."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def add(self, resource: str, record_id: object, record: Record) -> None:
        """Keep a new record; refused if its id is taken."""
        now = timestamp()
        row = (resource, str(record_id), now, now, json.dumps(record))
        try:
            self._database.execute(
                "INSERT INTO records (resource, id, created_at, changed_at, data) "
                "VALUES (?, ?, ?, ?, ?)",
                row,
            )
        except sqlite3.IntegrityError:
            raise ConflictError(f"{record_id} already exists") from None
        self._tell(resource, str(record_id), "created", record)

    def get(self, resource: str, record_id: object) -> Record | None:
        """The record, or None."""
        row = self._database.execute(
            "SELECT data FROM records WHERE resource = ? AND id = ?", (resource, str(record_id))
        ).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def require(
        self,
        resource: str,
        record_id: object,
        noun: str,
        within: Mapping[str, object] | None = None,
    ) -> Record:
        """The record; refused if there is none, or it belongs to something else."""
        record = self.get(resource, record_id)
        owners = within or {}
        if record is None or any(str(record.get(key)) != str(owners[key]) for key in owners):
            raise NotFoundError(f"{noun} not found")
        return record

    def replace(self, resource: str, record_id: object, record: Record, action: str) -> None:
        """Keep a changed record; `action` says in the past tense what happened to it."""
        self._database.execute(
            "UPDATE records SET data = ?, changed_at = ? WHERE resource = ? AND id = ?",
            (json.dumps(record), timestamp(), resource, str(record_id)),
        )
        self._tell(resource, str(record_id), action, record)

    def remove(self, resource: str, record_id: object) -> None:
        """Forget a record."""
        self._database.execute(
            "DELETE FROM records WHERE resource = ? AND id = ?", (resource, str(record_id))
        )
        self._tell(resource, str(record_id), "deleted", {})

    def find(self, query: Query) -> Page:
        """The matching records in a stable order, and their number without the limit."""
        values = _values(query)
        rows = self._database.execute(_FIND, values).fetchall()
        total = self._database.execute(_COUNT, values).fetchone()[0]
        return Page([dict(json.loads(row[0])) for row in rows], int(total))

    def count(self, resource: str, equals: Mapping[str, object] | None = None) -> int:
        """How many records have these values."""
        values = _values(Query(resource, equals or {}))
        return int(self._database.execute(_COUNT, values).fetchone()[0])

    def count_today(self, resource: str, equals: Mapping[str, object] | None = None) -> int:
        """How many records have these values and were changed since midnight, UTC."""
        values = _values(Query(resource, equals or {})) | {"midnight": timestamp()[:10]}
        statement = _COUNT + " AND changed_at >= :midnight"
        return int(self._database.execute(statement, values).fetchone()[0])

    def total(self, resource: str, name: str) -> float:
        """The sum of a field over all records of a resource."""
        row = self._database.execute(
            "SELECT TOTAL(json_extract(data, ?)) FROM records WHERE resource = ?",
            (f'$."{name}"', resource),
        ).fetchone()
        total = float(row[0])
        return int(total) if total.is_integer() else total


def _values(query: Query) -> dict[str, object]:
    sort = (query.sort or "").lstrip("+-")
    return {
        "resource": query.resource,
        "equals": _restrictions(query.equals),
        "minimum": _restrictions(query.minimum),
        "maximum": _restrictions(query.maximum),
        "search": query.search or "",
        "sort": f"$.{sort}" if sort.isidentifier() else "",
        "descending": query.descending or (query.sort or "").startswith("-"),
        "limit": min(query.limit, _LARGEST_INTEGER),
        "offset": min(query.offset, _LARGEST_INTEGER),
    }


def _restrictions(values: Mapping[str, object]) -> str:
    return json.dumps({name: value for name, value in values.items() if value is not None})
