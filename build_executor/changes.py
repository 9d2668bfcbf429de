"""Which live services no longer are what their SPEC says."""

from collections.abc import Sequence
from pathlib import Path

from build_executor.artifacts import BUILD_RECORD, HEALTH_REPORT, ArtifactStore
from build_executor.errors import SpecUnreadable
from build_executor.models import BuildRecord, BuildRequest, Value
from build_executor.spec.source import read_source


class ChangedSpec(Value):
    """A service whose SPEC has another digest than the one its newest good build was made from."""

    service: str
    digest: str
    request: BuildRequest


def changed_specs(store: ArtifactStore, roots: Sequence[Path]) -> list[ChangedSpec]:
    """The changed SPECs of all services built before; one that cannot be read now is left alone."""
    newest: dict[str, BuildRecord] = {}
    for build_id in store.build_ids():
        record = store.read_value(build_id, BUILD_RECORD, BuildRecord)
        if record and record.service and HEALTH_REPORT in store.names(build_id):
            newest.setdefault(record.service, record)
    changes = [_change(service, record, roots) for service, record in sorted(newest.items())]
    return [change for change in changes if change is not None]


def _change(service: str, record: BuildRecord, roots: Sequence[Path]) -> ChangedSpec | None:
    try:
        digest = read_source(record.request.spec_path, roots).digest
    except SpecUnreadable:
        return None
    if digest == record.spec_digest:
        return None
    return ChangedSpec(service=service, digest=digest, request=record.request)
