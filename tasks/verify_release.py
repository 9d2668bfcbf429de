"""Phase 4: a staged copy has to honour the contract before anybody may deploy the release."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from build_executor import artifacts, verification
from build_executor.models import Release, VerifiedRelease
from build_executor.phases import Phase
from build_executor.spec.contract import Contract
from build_executor.workspace import open_workspace
from tasks import wiring


@task(
    name=Phase.VERIFICATION,
    task_run_name="verification: staged copy",
    cache_policy=NO_CACHE,
    timeout_seconds=300,
)
def verify_release(release: Release, contract: Contract) -> VerifiedRelease:
    """The release with the checks it passed; VerificationFailed with findings otherwise."""
    workspace = open_workspace(release.build_id, release.service, wiring.settings())
    sandbox = wiring.sandbox(workspace)
    verified = verification.verify_release(release, contract, sandbox, wiring.settings())
    wiring.store().write_value(release.build_id, artifacts.VERIFICATION_REPORT, verified)
    return verified
