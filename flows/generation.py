"""Phases 1 and 2 of a build: the contract, what fills its holes, the code, the tests."""

from build_executor.errors import GenerationFailed
from build_executor.hand_edits import Conflict
from build_executor.models import BuildRequest, Finding, Workspace
from build_executor.phases import Checkpoint, Phase
from build_executor.spec.contract import Contract
from flows.checkpoints import checkpoint
from flows.progress import phase
from tasks import wiring
from tasks.fill_holes import fill_holes, find_holes, is_open, settle_contract
from tasks.generate_code import generate_code, generate_tests
from tasks.read_contract import read_contract
from tasks.reports import publish_contract, publish_generation

GENERATION_ATTEMPTS = 3


def generate(
    build_id: str, request: BuildRequest, spec_digest: str | None
) -> tuple[Contract, Contract, Workspace]:
    """The contract as the SPEC has it, as the service is held to it, and code and tests."""
    with phase(Phase.CODE_GENERATION):
        derived = read_contract(build_id, request.spec_path, spec_digest)
        contract = _with_holes_filled(build_id, derived, request)
        workspace = _generated_code(build_id, contract)
    with phase(Phase.TEST_GENERATION):
        generate_tests(contract, workspace)
    publish_contract(contract, return_state=True)
    return derived, contract, workspace


def _with_holes_filled(build_id: str, derived: Contract, request: BuildRequest) -> Contract:
    conflicts = find_holes(build_id, derived)
    if conflicts:
        _agree_on(conflicts, request)
    for attempt in range(1, GENERATION_ATTEMPTS + 1):
        if not is_open(build_id, derived):
            break
        fill_holes(build_id, derived, attempt)
    contract = settle_contract(build_id, derived)
    publish_generation(build_id, contract, return_state=True)
    return contract


def _agree_on(conflicts: tuple[Conflict, ...], request: BuildRequest) -> None:
    """Nobody but a person can say what becomes of an edit whose reason is gone."""
    head = "Approve to drop these edits by hand and go on; reject to keep them and end the build."
    checkpoint(
        Checkpoint.HAND_EDITS,
        request.approval_mode,
        timeout=wiring.settings().approval_timeout_seconds,
        evidence="\n\n".join([head, *map(str, conflicts)]),
    )


def _generated_code(build_id: str, contract: Contract) -> Workspace:
    findings: tuple[Finding, ...] = ()
    for attempt in range(1, GENERATION_ATTEMPTS):
        try:
            return generate_code(build_id, contract, attempt, findings)
        except GenerationFailed as error:
            findings = error.findings
    return generate_code(build_id, contract, GENERATION_ATTEMPTS, findings)
