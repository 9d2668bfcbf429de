"""Releases of a service that the embedded compiler wrote, as a build makes them."""

import json
from pathlib import Path

from build_executor.building import build_release
from build_executor.checks.contract import live_checks
from build_executor.generation import generate_code, generate_tests
from build_executor.generators import GENERATORS, Attempt
from build_executor.guard import Gate
from build_executor.models import VerifiedRelease
from build_executor.sandbox import open_sandbox
from build_executor.settings import Settings
from build_executor.spec.contract import Contract
from build_executor.spec.derivation import derive_contract
from build_executor.workspace import open_workspace
from tests.deploy_load import Habits
from tests.ports import free_port

_SPEC = Path(__file__).parent.parent / "examples" / "payment-processor" / "SPEC.md"


class Generated:
    """Version after version of the example, each built once; the staged copy is left out."""

    def __init__(self, home: Path) -> None:
        self._settings = Settings(build_executor_home=home)
        self._port = free_port()
        self._built: list[tuple[VerifiedRelease, Contract]] = []

    def release(self, number: int) -> tuple[VerifiedRelease, Gate]:
        """The version of this number, and its whole contract as a gate."""
        while len(self._built) <= number:
            self._built.append(self._build(f"1.{len(self._built)}.0"))
        verified, contract = self._built[number]
        return verified, lambda url: live_checks(url, contract, verified.release.id)

    def habits(self) -> Habits:
        """Users that read what the service can do, and send it messages."""
        message = {
            "trace_id": "00000000-0000-4000-8000-000000000000",
            "source": "bench",
            "target": "payment-processor",
            "message_type": "event",
            "payload": {},
            "timestamp": "2025-11-16T00:00:00Z",
        }
        body = json.dumps(message)
        return Habits(path="/capabilities", post_path="/message", body=body, echo=None)

    def _build(self, version: str) -> tuple[VerifiedRelease, Contract]:
        contract = derive_contract(_SPEC.read_text().replace("1.0.0", version))
        workspace = open_workspace(f"build-{version}", contract.service, self._settings)
        compiler = GENERATORS["compiler"]
        generate_code(contract, workspace, compiler, Attempt())
        workspace = generate_tests(contract, workspace, compiler, Attempt())
        sandbox = open_sandbox(self._settings, trusted=True)
        release = build_release(workspace, contract, sandbox, self._settings)
        return VerifiedRelease(
            release=release.model_copy(update={"port": self._port}), checks=()
        ), contract
