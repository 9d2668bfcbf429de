"""The way back: previous version live, registry right, sovereign-factory told, leftovers gone."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from build_executor import artifacts
from build_executor.failed_releases import keep_logs
from build_executor.mesh.messages import BuildEvent
from build_executor.models import BuildRecord, Registration, RollbackReport
from build_executor.rollback import (
    NOTHING_TO_UNDO,
    Cause,
    Mesh,
    ask_contract,
    roll_back_build,
    tell_losses,
)
from tasks import wiring
from tasks.operations import publish_rollback


@task(name="roll_back", task_run_name="roll_back", cache_policy=NO_CACHE, timeout_seconds=300)
def roll_back(build_id: str, cause: Cause) -> RollbackReport:
    """What is live after the roll-back of this build; safe to call at any moment, twice too."""
    store = wiring.store()
    record = store.read_value(build_id, artifacts.BUILD_RECORD, BuildRecord)
    if record is None:
        return NOTHING_TO_UNDO
    registered = store.read_value(build_id, artifacts.REGISTRATION, Registration)
    names = wiring.requested_targets(record.request) or wiring.configured_targets()
    targets = [wiring.configured_hosts(name) for name in names]
    hosts = [host for target in targets for host in target]
    if record.service is not None:
        keep_logs(build_id, record.service, hosts, store)
    told = list[BuildEvent]()
    mesh = Mesh(registry=wiring.registry(), notify=told.append)
    report = roll_back_build(record, registered, targets, mesh, cause)
    report = ask_contract(report, hosts, wiring.checks_of_live)
    report = tell_losses(report, build_id, hosts, store)
    known = store.read_value(build_id, artifacts.ROLLBACK_REPORT, RollbackReport)
    if known is None or known.rollback_status != "success":  # what was done then stays on record
        store.write_value(build_id, artifacts.ROLLBACK_REPORT, report)
    publish_rollback(report, return_state=True)
    for event in told:  # last: a sovereign-factory that hangs delays nothing else
        wiring.notify(event)
    return report
