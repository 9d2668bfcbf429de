"""Build and verification of a service that the compiler wrote: real uv, pytest, uvicorn, bwrap."""

from pathlib import Path

import pytest

from build_executor.artifacts import BUILD_LOG, FUZZING_REPORT, ArtifactStore
from build_executor.building import build_release
from build_executor.checks.fuzz_report import Fuzzing
from build_executor.errors import BuildFailed, VerificationFailed
from build_executor.generation import generate_code, generate_tests
from build_executor.generators import GENERATORS, Attempt
from build_executor.models import Release, Workspace
from build_executor.sandbox import Sandbox, open_sandbox
from build_executor.settings import Settings
from build_executor.spec.contract import Contract
from build_executor.spec.derivation import derive_contract
from build_executor.verification import verify_release
from build_executor.workspace import open_workspace

pytestmark = pytest.mark.full
SPEC = Path(__file__).parents[2] / "examples" / "payment-processor" / "SPEC.md"


@pytest.fixture(scope="module")
def settings(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(build_executor_home=tmp_path_factory.mktemp("home"))
    settings.cache.symlink_to(cache)
    return settings


@pytest.fixture(scope="module")
def contract() -> Contract:
    return derive_contract(SPEC.read_text())


@pytest.fixture(scope="module")
def sandbox(settings: Settings) -> Sandbox:
    return open_sandbox(settings, trusted=True)


def generated(build_id: str, contract: Contract, settings: Settings) -> Workspace:
    """A workspace with everything that the compiler writes."""
    workspace = open_workspace(build_id, contract.service, settings)
    compiler = GENERATORS["compiler"]
    generate_code(contract, workspace, compiler, Attempt())
    return generate_tests(contract, workspace, compiler, Attempt())


def built(build_id: str, contract: Contract, sandbox: Sandbox, settings: Settings) -> Release:
    return build_release(generated(build_id, contract, settings), contract, sandbox, settings)


def test_a_generated_service_is_built_and_verified(
    contract: Contract, sandbox: Sandbox, settings: Settings
) -> None:
    release = built("good", contract, sandbox, settings)

    verified = verify_release(release, contract, sandbox, settings)

    log = (settings.artifacts / "good" / BUILD_LOG).read_text()
    assert " passed" in log
    assert "[mypy/" not in log
    assert read_fuzzing(settings, "good").advice == ()
    asked = {check.name.split(" (")[0] for check in verified.checks}
    assert {operation.label for operation in contract.operations} <= asked


def test_the_same_spec_makes_the_same_release(
    contract: Contract, sandbox: Sandbox, settings: Settings
) -> None:
    first = built("first", contract, sandbox, settings)
    second = built("second", contract, sandbox, settings)

    assert first.digest == second.digest


def test_a_service_that_breaks_its_contract_fails_its_own_tests(
    contract: Contract, sandbox: Sandbox, settings: Settings
) -> None:
    workspace = generated("failing", contract, settings)
    break_creation(workspace)

    with pytest.raises(BuildFailed, match="tests failed") as failure:
        build_release(workspace, contract, sandbox, settings)

    assert any(f.file and f.file.startswith("tests/") for f in failure.value.findings)


def test_a_service_whose_tests_look_away_fails_verification(
    contract: Contract, sandbox: Sandbox, settings: Settings
) -> None:
    workspace = generated("lying", contract, settings)
    break_creation(workspace)
    for test in (workspace.source / "tests").glob("test_*.py"):
        test.write_text("def test_nothing() -> None:\n    pass\n")
    release = build_release(workspace, contract, sandbox, settings)

    with pytest.raises(VerificationFailed) as failure:
        verify_release(release, contract, sandbox, settings)

    assert any(
        "finds what POST /payments made" in (f.operation or "") for f in failure.value.findings
    )


def read_fuzzing(settings: Settings, build_id: str) -> Fuzzing:
    report = ArtifactStore(settings.artifacts).read_value(build_id, FUZZING_REPORT, Fuzzing)
    assert report is not None
    return report


def break_creation(workspace: Workspace) -> None:
    """Make the service forget what it was told to create."""
    logic = workspace.source / "app" / "logic.py"
    text = logic.read_text()
    broken = text.replace("    repository.add(", "    _ = (")
    assert broken != text
    logic.write_text(broken)


CRASHES_ON_EMPTY_TEXT = """

@app.middleware("http")
async def crash_on_empty_text(request, call_next):
    if b'""' in await request.body():
        raise RuntimeError("nobody thought of an empty text")
    return await call_next(request)
"""
FORGETS_A_FIELD = """

@app.middleware("http")
async def forget_a_field(request, call_next):
    if request.url.path == "/payments" and "offset" in request.url.query:
        return JSONResponse({"payments": []})
    return await call_next(request)
"""


@pytest.mark.parametrize(
    ("sabotage", "rule", "operation"),
    [
        (CRASHES_ON_EMPTY_TEXT, "ST101 Server error", "POST /"),
        (FORGETS_A_FIELD, "ST108", "GET /payments"),
    ],
    ids=["crashing", "forgetting"],
)
def test_a_service_that_only_odd_requests_break_fails_verification(
    sabotage: str, rule: str, operation: str, sandbox: Sandbox, settings: Settings
) -> None:
    contract = derive_contract(SPEC.read_text())
    workspace = generated("sabotaged", contract, settings)
    main = workspace.source / "app" / "main.py"
    main.write_text(main.read_text() + sabotage)
    release = build_release(workspace, contract, sandbox, settings)

    with pytest.raises(VerificationFailed, match="odd requests") as failure:
        verify_release(release, contract, sandbox, settings)

    found = [f for f in failure.value.findings if f.rule.startswith(rule)]
    assert any((finding.operation or "").startswith(operation) for finding in found)
    assert all(finding.spec_line and "curl -X" in finding.message for finding in found)
