"""SPEC.md in, running service out: the main path of the product. Read this first.

A build is one run of this flow, its phases are the tasks below, in the order of the product's
specification. Whatever ends a build early (a failed phase, a rejection, a cancel, a bug) passes
the one `except` here, where the same idempotent roll-back puts the version back that worked.
"""

from prefect import State, flow, runtime
from prefect.states import Failed

from build_executor.comparison import refuse_unseen
from build_executor.errors import BuildFailed, PhaseFailed, VerificationFailed
from build_executor.models import (
    BuildRequest,
    Deployment,
    Release,
    VerifiedRelease,
    Workspace,
)
from build_executor.phases import Checkpoint, Phase
from build_executor.rollback import Cause
from build_executor.spec.contract import Contract
from flows.checkpoints import checkpoint
from flows.generation import generate
from flows.progress import phase, progress_kept_in
from tasks import wiring
from tasks.build_release import build_release, fix_build
from tasks.check_health import check_health
from tasks.clean_up import clean_up
from tasks.compare_with_live import compare_with_live
from tasks.deploy_release import deploy_release, prove_deployments
from tasks.evidence import contract_evidence, release_evidence
from tasks.fill_holes import keep_source, repair_functions
from tasks.register_deployment import register_deployment
from tasks.reports import publish_changes, publish_checks, publish_result
from tasks.roll_back import roll_back
from tasks.verify_release import verify_release

BUILD_FIXES = 2


@flow(name="build-service", flow_run_name="build {request.spec_path}")
def build_service(request: BuildRequest, spec_digest: str | None = None) -> State[None] | None:
    """Build the service that the SPEC describes and make it live where the request says.

    `spec_digest` names the snapshot taken when the build was submitted; without it the SPEC is
    read from `request.spec_path` now. Ends Failed under the name of the error state.
    """
    build_id = str(runtime.flow_run.id)
    wiring.open_build(build_id, request)
    with progress_kept_in(wiring.progress_file(build_id)):
        try:
            derived, contract, workspace = generate(build_id, request, spec_digest)
            ask(Checkpoint.AFTER_GENERATION, request, contract_evidence(contract))
            contract, verified = build_and_verify(derived, contract, workspace)
            agree_on_changes(verified, contract, request)
            go_live(verified, contract, request)
            keep_source(build_id, derived, return_state=True)
        except BaseException as error:
            roll_back(build_id, _cause(error), return_state=True)
            if isinstance(error, PhaseFailed):
                return Failed(name=error.state.value, message=str(error))
            raise
        finally:
            clean_up(build_id, return_state=True)
    return None


def _cause(error: BaseException) -> Cause:
    if isinstance(error, PhaseFailed):
        return Cause(phase=error.state.removeprefix("failed_"), reason=str(error))
    return Cause(reason=f"{type(error).__name__}: {error}")


def build_and_verify(
    derived: Contract, contract: Contract, workspace: Workspace
) -> tuple[Contract, VerifiedRelease]:
    """Phases 3 and 4: a release whose staged copy honours the contract.

    What a model wrote is repaired, and then dropped, before it can fail a build; the contract that
    comes back is the one that the release is held to.
    """
    for attempt in range(1, BUILD_FIXES + 1):
        try:
            return contract, _verified(contract, workspace)
        except (BuildFailed, VerificationFailed) as error:
            repaired = repair_functions(workspace.build_id, derived, error.findings, attempt)
            if repaired is None:
                raise
            contract = repaired
    return contract, _verified(contract, workspace)


def _verified(contract: Contract, workspace: Workspace) -> VerifiedRelease:
    with phase(Phase.BUILD):
        release = _built_release(contract, workspace)
    with phase(Phase.VERIFICATION):
        verified = verify_release(release, contract)
    publish_checks(verified, return_state=True)
    return verified


def ask(place: Checkpoint, request: BuildRequest, evidence: str) -> bool:
    """Whether the request's mode asks for an approval here, once it has been given."""
    timeout = wiring.settings().approval_timeout_seconds
    return checkpoint(place, request.approval_mode, timeout=timeout, evidence=evidence)


def agree_on_changes(verified: VerifiedRelease, contract: Contract, request: BuildRequest) -> None:
    """Wait for an approval of this release where the mode, or a breaking change, asks for one.

    ApprovalFailed if the release would by then break something else than what was shown.
    """
    build_id, targets = verified.release.build_id, wiring.requested_targets(request)
    found = compare_with_live(build_id, contract, targets)
    publish_changes(contract, found, return_state=True)
    evidence = release_evidence(verified, found)
    waited = ask(Checkpoint.BEFORE_DEPLOYMENT, request, evidence)
    if found.breaking and wiring.settings().breaking_change_approval:
        waited = ask(Checkpoint.BREAKING_CHANGE, request, evidence) or waited
    if waited:
        now = compare_with_live(build_id, contract, targets)
        refuse_unseen(now, shown=found)


def go_live(verified: VerifiedRelease, contract: Contract, request: BuildRequest) -> None:
    """Phases 5 to 7 on every target asked for; a release is proven once all of them have passed."""
    targets = wiring.requested_targets(request)
    if not targets:
        return
    with phase(Phase.DEPLOYMENT):
        deployed = {target: deploy_release(verified, contract, target) for target in targets}
    if request.auto_register:
        with phase(Phase.REGISTRATION):
            for deployments in deployed.values():
                register_deployment(deployments[0], contract)
    with phase(Phase.HEALTH_CHECK):
        _prove(deployed)


def _prove(deployed: dict[str, tuple[Deployment, ...]]) -> None:
    hosts = [deployment for deployments in deployed.values() for deployment in deployments]
    reports = [check_health(deployment) for deployment in hosts]
    for target, deployments in deployed.items():
        prove_deployments(deployments, target)
    for deployment, report in zip(hosts, reports, strict=True):
        publish_result(deployment, report, return_state=True)


def _built_release(contract: Contract, workspace: Workspace) -> Release:
    for attempt in range(1, BUILD_FIXES + 1):
        try:
            return build_release(workspace, contract, attempt)
        except BuildFailed as error:
            if not fix_build(workspace, error.findings, attempt):
                raise
    return build_release(workspace, contract, BUILD_FIXES + 1)
