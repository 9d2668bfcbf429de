"""Scheduled: what nobody needs any more goes, so that a machine may build for years."""

from datetime import UTC, datetime

from prefect import flow, get_run_logger

from build_executor import retention
from build_executor.retention import Pruned
from tasks import wiring
from tasks.history import forget_runs
from tasks.reports import publish_pruned


@flow(name="prune")
def prune() -> Pruned:
    """What was removed; safe to run at any time, also while builds run."""
    wiring.prepare_logs()
    hosts = [host for name in wiring.configured_targets() for host in wiring.targets(name)]
    pruned = retention.prune(wiring.settings(), hosts, datetime.now(UTC), forget_runs)
    get_run_logger().info("%s", pruned)
    publish_pruned(pruned)
    return pruned
