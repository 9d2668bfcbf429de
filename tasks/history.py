"""What Prefect remembers of this product's runs, and what of it nobody needs any more."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client

_FLOWS = ("build-service", "roll-back-service", "prune", "rebuild-changed")
_OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_MOST_AT_ONCE = 50  # Prefect's own limit
_MOST_A_NIGHT = 2000
_DELETE = "/flow_runs/bulk_delete"


def forget_runs(needed: Collection[str], before: datetime) -> int:
    """Delete our runs that ended before then, but for the `needed` ones; how many that were.

    Their task runs go with them; their logs and artifacts are removed by Prefect server later.
    What is not deleted this time is deleted the next time.
    """
    forgotten = 0
    with get_client(sync_client=True) as client:
        deployments = _deployments(client)
        while deployments and forgotten < _MOST_A_NIGHT:
            body = {"flow_runs": _old(deployments, needed, before), "limit": _MOST_AT_ONCE}
            answer = client.request("POST", _DELETE, json=body)  # type: ignore[arg-type] # not in its list
            deleted = len(answer.json()["deleted"])
            forgotten += deleted
            if deleted < _MOST_AT_ONCE:
                break
    return forgotten


def _deployments(client: SyncPrefectClient) -> list[str]:
    """The ids of our own: another product may use the same Prefect."""
    which = {
        "flows": {"name": {"any_": list(_FLOWS)}},
        "deployments": {"name": {"any_": ["local"]}},
    }
    answer = client.request("POST", "/deployments/filter", json=which)
    return [deployment["id"] for deployment in answer.json()]


def _old(deployments: list[str], needed: Collection[str], before: datetime) -> dict[str, Any]:
    return {
        "id": {"not_any_": [build_id for build_id in sorted(needed) if _is_run_id(build_id)]},
        "deployment_id": {"any_": deployments},
        "state": {"type": {"any_": list(_OVER)}},
        "end_time": {"before_": before.isoformat()},
    }


def _is_run_id(build_id: str) -> bool:
    """What somebody deployed without Prefect has an id of another form."""
    try:
        UUID(build_id)
    except ValueError:
        return False
    return True
