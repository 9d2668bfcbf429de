"""What nobody needs any more is removed, so that a machine may build for years.

Kept in any case are the artifacts of every build whose release is on a host, live or proven or
merely installed, of every build that still runs, and of all that are young; a host that does not
answer may need anything, so nothing is removed that it could. What a night does not come to, the
next one does.
"""

import logging
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

from build_executor import ownership
from build_executor.artifacts import BUILD_RECORD, ArtifactStore
from build_executor.deployment import retire
from build_executor.errors import BuildExecutorError, DeploymentFailed
from build_executor.files import remove_at_once
from build_executor.models import BuildRecord, Value
from build_executor.settings import Settings
from build_executor.targets.state import InstalledRelease
from build_executor.targets.target import Target

_YOUNG = timedelta(days=2)  # also what today's costs are counted from
_WAITING = timedelta(days=7)  # a queued build has its SPEC and nothing else

Forget = Callable[[Collection[str], datetime], int]
"""Forgets what ended before a moment, but for these builds; how many runs that were."""

_log = logging.getLogger(__name__)


class Pruned(Value):
    """What was removed."""

    builds: tuple[str, ...] = ()
    specs: int = 0
    caches: tuple[str, ...] = ()
    logs: int = 0
    releases: tuple[str, ...] = ()
    runs: int = 0

    def __str__(self) -> str:
        """One line for a log."""
        return (
            f"removed the artifacts of {len(self.builds)} builds, {self.specs} SPECs, "
            f"{len(self.caches)} caches, {self.logs} logs, {len(self.releases)} releases, "
            f"{self.runs} runs"
        )


def prune(settings: Settings, hosts: Sequence[Target], now: datetime, forget: Forget) -> Pruned:
    """Remove what is beyond the settings and needed by nothing; may be repeated or killed."""
    store = ArtifactStore(settings.artifacts)
    records = _records(store)
    pruned = Pruned(caches=tuple(_prune_caches(settings, now)))
    services = {record.service for record in records.values() if record and record.service}
    releases = tuple(_retire(services, hosts))
    try:
        installed = _installed(services, hosts)
    except DeploymentFailed as error:
        _log.warning("nothing else is removed while a host cannot say what it needs: %s", error)
        return pruned.model_copy(update={"releases": releases})
    needed = {release.build_id for release in installed}
    builds = tuple(_prune_builds(store, settings, needed, now))
    left = [record for id_, record in records.items() if id_ not in builds]
    specs = _prune_specs(settings.specs, left, now)
    logs = _prune_logs(settings, {release.id for release in installed}, now)
    runs = forget(needed, now - timedelta(days=settings.keep_history_days))
    removed = {"builds": builds, "specs": specs, "logs": logs, "releases": releases, "runs": runs}
    return pruned.model_copy(update=removed)


def _records(store: ArtifactStore) -> dict[str, BuildRecord | None]:
    """Of all builds, the newest first; None for a build that left none."""
    return {id_: store.read_value(id_, BUILD_RECORD, BuildRecord) for id_ in store.build_ids()}


def _retire(services: Iterable[str], hosts: Sequence[Target]) -> Iterator[str]:
    """What is beyond `KEEP_RELEASES` on the hosts that answer and are not being deployed to."""
    for host, service in product(hosts, sorted(services)):
        try:
            yield from retire(service, host)
        except (BuildExecutorError, OSError) as error:
            _log.warning("old releases of %s stay on %s: %s", service, host.name, error)


def _installed(services: Iterable[str], hosts: Sequence[Target]) -> list[InstalledRelease]:
    states = [host.read(service) for host in hosts for service in sorted(services)]
    return [release for state in states for release in state.releases]


def _is_over(record: BuildRecord | None, settings: Settings, age: timedelta) -> bool:
    """Whether nobody works on the build any more, nor waits for an answer to it."""
    if record is None or ownership.is_of_this_host(record.owner):
        return age > _YOUNG and not (record and ownership.is_alive(record.owner))
    return age > _YOUNG + 2 * timedelta(seconds=settings.approval_timeout_seconds)


def _prune_builds(
    store: ArtifactStore, settings: Settings, needed: Collection[str], now: datetime
) -> Iterator[str]:
    for build_id in store.build_ids()[settings.keep_builds :]:
        folder = store.path(build_id, BUILD_RECORD).parent
        record = store.read_value(build_id, BUILD_RECORD, BuildRecord)
        if build_id not in needed and _is_over(record, settings, _age(folder, now)):
            shutil.rmtree(folder)
            yield build_id


def _prune_specs(specs: Path, left: Iterable[BuildRecord | None], now: datetime) -> int:
    """The snapshots that no build refers to, and that none can be waiting in a queue for."""
    digests = {record.spec_digest for record in left if record is not None}
    return _removed(
        path
        for path in specs.glob("*.md")
        if path.stem not in digests and _age(path, now) > _WAITING
    )


def _prune_caches(settings: Settings, now: datetime) -> Iterator[str]:
    """Whatever was not used for long; its time says when it was used last."""
    uv = settings.cache / "uv"
    entries = [path for path in settings.cache.glob("*/*") if path.parent != uv]
    for entry in sorted([*entries, *settings.cache.glob("uv")]):
        if entry.is_dir() and _age(entry, now) > timedelta(days=settings.keep_days):
            remove_at_once(entry)  # a build may look for it meanwhile
            yield entry.relative_to(settings.cache).as_posix()


def _prune_logs(settings: Settings, installed: set[str], now: datetime) -> int:
    """The logs of releases that are not on this machine any more."""
    return _removed(
        log
        for log in settings.services.glob("*/shared/logs/*")
        if not any(log.name.startswith(release_id) for release_id in installed)
        and _age(log, now) > timedelta(days=settings.keep_days)
    )


def _removed(files: Iterable[Path]) -> int:
    unused = list(files)
    for file in unused:
        file.unlink(missing_ok=True)
    return len(unused)


def _age(path: Path, now: datetime) -> timedelta:
    return timedelta(seconds=now.timestamp() - path.stat().st_mtime)
