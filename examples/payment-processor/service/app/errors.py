"""What the service refuses to do, and with which status it says so."""

from collections.abc import Collection, Mapping
from typing import Any


class ServiceError(Exception):
    """A request that is refused for a reason the caller should know."""

    status_code = 500

    def __init__(self, detail: str, **more: object) -> None:
        super().__init__(detail)
        self.content: dict[str, object] = {"detail": detail, **more}


class NotFoundError(ServiceError):
    """There is no such record."""

    status_code = 404


class ConflictError(ServiceError):
    """The record exists, but its present state does not allow this."""

    status_code = 409


def require_state(record: Mapping[str, Any], field: str, allowed: Collection[str]) -> None:
    """Refuse unless the record is in one of the allowed states."""
    state = record.get(field)
    if state not in allowed:
        raise ConflictError(f"not possible while {field} is {state!r}")
