"""The values that a build hands from phase to phase.

All are frozen and compare by content, because each crosses a boundary: Prefect's parameters and
results, a file in the artifact store, HTTP. They hold references (paths, ids, digests), never
clients, so the next phase can run in another process. `deploy()` accepts a `VerifiedRelease` only,
which makes deploying an unverified release a type error.
"""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from build_executor.phases import ApprovalMode


class Value(BaseModel):
    """Immutable, closed against unknown fields, equal by content."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BuildRequest(Value):
    """What a submitter asks for: the product specification's `BuildRequest`."""

    spec_path: str = Field(min_length=1, max_length=1024, description="inside one of SPEC_ROOTS")
    approval_mode: ApprovalMode = ApprovalMode.AUTO
    deploy_local: bool = True
    deploy_production: bool = False
    auto_register: bool = True
    metadata: dict[str, JsonValue] = Field(default_factory=dict)


class Finding(Value):
    """One reason why a candidate was rejected; the next attempt is told all of them."""

    gate: str = Field(description="which check spoke: parse, ruff, pytest, contract, ...")
    rule: str
    message: str
    file: str | None = None
    line: int | None = None
    operation: str | None = Field(default=None, description='such as "GET /payments/{payment_id}"')
    spec_line: int | None = None

    def __str__(self) -> str:
        """One line for a log or an error: where, which gate and rule, what."""
        place = f"{self.file}:{self.line}: " if self.file else ""
        operation = f"{self.operation}: " if self.operation else ""
        spec = f" (SPEC line {self.spec_line})" if self.spec_line else ""
        return f"{place}{operation}[{self.gate}/{self.rule}] {self.message}{spec}"


class Workspace(Value):
    """The mutable source tree that one build owns: `path/source` holds the generated service."""

    build_id: str
    service: str
    path: Path

    @property
    def source(self) -> Path:
        """Where the generated service is written."""
        return self.path / "source"

    @property
    def contract_file(self) -> Path:
        """The frozen contract, beside the source and never inside it."""
        return self.path / "contract.json"


class Release(Value):
    """An immutable, installable result of a build."""

    id: str = Field(description="<version>-<first 12 hex digits of the archive's SHA-256>")
    build_id: str
    service: str
    version: str
    port: int | None = Field(
        description="the public port; None: the target allocates and keeps one"
    )
    archive: Path = Field(description="tar.gz of the source with its locked requirements")
    digest: str = Field(description="SHA-256 of the archive, hexadecimal")
    contract_file: Path
    environment: Path = Field(
        description="the virtual environment built from the locked requirements"
    )
    confined: bool = Field(
        default=False, description="a model had a part in its code: it runs in a sandbox only"
    )


class Check(Value):
    """One thing that was asked of a service, and what came of it."""

    name: str
    passed: bool
    detail: str = ""
    duration_ms: float = 0


class VerifiedRelease(Value):
    """A release whose staged copy honoured the contract."""

    release: Release
    checks: tuple[Check, ...]


class Availability(Value):
    """What a prober met at a public address while its traffic moved to another release."""

    requests: int
    failed: int
    longest_gap_ms: float = Field(description="between two answers, in milliseconds")
    p99_ms: float = Field(default=0, description="99 of 100 answers took no longer")


class Deployment(Value):
    """A release that is live on a target, and the one it replaced."""

    target: str
    service: str
    release_id: str
    build_id: str
    url: str = Field(description="the public address, without a trailing slash")
    previous: str | None = Field(default=None, description="id of the release it replaced")
    availability: Availability | None = Field(
        default=None, description="from just before the switch to the end of the guard"
    )


class Registration(Value):
    """What the registry holds of a deployment after it was read back."""

    registry: str = Field(description="its URL, or the path of the embedded service directory")
    name: str
    endpoint: str
    droplet_id: str | None = None


class HealthReport(Value):
    """The answer of a deployed service to `GET /health` through its public address."""

    url: str
    status: str
    attempts: int
    checked_at: datetime


class Owner(Value):
    """The process that works on a build; its start tells it from a later one of the same pid."""

    host: str
    boot_id: str = Field(description="the kernel's name for this boot of the host")
    pid: int
    start_ticks: int = Field(description="clock ticks between the boot and the process's start")


class BuildRecord(Value):
    """What is known of a build from its first second on."""

    build_id: str
    request: BuildRequest
    owner: Owner
    service: str | None = Field(default=None, description="known once the SPEC has been read")
    spec_digest: str | None = Field(default=None, description="SHA-256 of the SPEC, hexadecimal")


class RollbackProof(Value):
    """What was read through the public address after a roll-back; nothing in it is assumed."""

    release: str = Field(description="the version marker that every counted answer carried")
    url: str
    good_answers: int = Field(description="how many came one after the other, without a bad one")
    checks: tuple[Check, ...] = Field(default=(), description="the contract, asked again")
    availability: Availability | None = Field(
        default=None, description="of the whole roll-back; None if nothing answered before"
    )


class RollbackReport(Value):
    """What a roll-back did and found; the rollback endpoint answers with its first fields."""

    rollback_status: str = Field(description='"success", "failed" or "not_needed"')
    previous_version_restored: bool
    service_health: str = Field(description='"active", "inactive", "error" or "absent"')
    service: str | None = None
    target: str | None = Field(default=None, description="the host that is spoken of")
    live_release: str | None = None
    detail: str = ""
    proof: RollbackProof | None = Field(default=None, description="None if nothing is live")
    lost: tuple[str, ...] = Field(
        default=(), description="what callers of the undone version cannot rely on any more"
    )


class Usage(Value):
    """The tokens that were billed; thinking counts as output."""

    input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Both together."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )
