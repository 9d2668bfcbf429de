"""Every error this package raises on purpose.

BuildExecutorError
├── CommandFailed             a process answered with a non-zero exit code, or ran out of time
├── NoAnswer                  a service gave no usable answer in time
├── InvalidSettings           a setting is missing or makes no sense
├── SpecUnreadable            the SPEC is missing, outside the roots, too large, or not text
├── SpecRefused               the SPEC was read, but it does not describe one HTTP service
├── UnsafeArchive             an archive holds something else than a modest number of plain files
├── DeployLocked              somebody else is deploying this service
├── ModelUnavailable          no language model of the list can be asked
├── CostCeilingReached        the next answer of a language model could cost more than is left
└── PhaseFailed               a phase of a build failed; carries the product specification's state
    ├── GenerationFailed      failed_code_generation
    ├── BuildFailed           failed_build
    ├── VerificationFailed    failed_verification
    ├── DeploymentFailed      failed_deployment
    ├── RegistrationFailed    failed_registration
    ├── HealthCheckFailed     failed_health_check
    └── ApprovalFailed        failed_approval

Prefect pickles exceptions: every argument goes to `super().__init__` and the text is made in
`__str__`, so that each of them can be read back (tests/build_executor/test_errors.py).
"""

from collections.abc import Sequence
from typing import ClassVar

from build_executor.models import Finding
from build_executor.phases import ErrorState


class BuildExecutorError(Exception):
    """The root: catch it to catch everything this package raises on purpose."""


class CommandFailed(BuildExecutorError):
    """A process ended with a non-zero exit code, or was ended because its time was over."""

    def __init__(self, argv: Sequence[str], exit_code: int | None, output: str) -> None:
        super().__init__(argv, exit_code, output)
        self.argv, self.exit_code, self.output = tuple(argv), exit_code, output

    def __str__(self) -> str:
        how = "ran out of time" if self.exit_code is None else f"exited with {self.exit_code}"
        tail = "\n".join(self.output.strip().splitlines()[-20:])
        return f"`{self.argv[0]}` {how}: {tail or 'no output'}"


class NoAnswer(BuildExecutorError):
    """A service could not be reached, or its answer did not end in time, or is far too large."""

    def __init__(self, method: str, url: str, reason: str) -> None:
        super().__init__(method, url, reason)
        self.method, self.url, self.reason = method, url, reason

    def __str__(self) -> str:
        return f"no answer to {self.method} {self.url}: {self.reason}"


class InvalidSettings(BuildExecutorError):
    """The service cannot start, or cannot do what was asked, with its present settings."""


class SpecUnreadable(BuildExecutorError):
    """No text could be read from the given path; says the same of a missing and a forbidden one."""


class SpecRefused(BuildExecutorError):
    """The document is readable but does not describe one HTTP service; carries reason and line."""

    def __init__(self, reason: str, message: str, line: int | None = None) -> None:
        super().__init__(reason, message, line)
        self.reason, self.message, self.line = reason, message, line

    def __str__(self) -> str:
        where = f" (SPEC line {self.line})" if self.line else ""
        return f"{self.message}{where}"


class UnsafeArchive(BuildExecutorError):
    """The archive is damaged, too large, or holds what no release needs; it is not unpacked."""


class DeployLocked(BuildExecutorError):
    """The deploy lock of this service is held by a living owner."""


class ModelUnavailable(BuildExecutorError):
    """Every model is gone, the key is not accepted, or nobody answers after all retries."""


class CostCeilingReached(BuildExecutorError):
    """The call was not made: its worst case would pass the ceiling of the build or of the day."""


class PhaseFailed(BuildExecutorError):
    """A phase failed. `state` is the product specification's name for it."""

    state: ClassVar[ErrorState]

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message, tuple(findings))
        self.message, self.findings = message, tuple(findings)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"- {finding}" for finding in self.findings)])


class GenerationFailed(PhaseFailed):
    """No acceptable code or tests could be generated from the SPEC."""

    state = ErrorState.CODE_GENERATION


class BuildFailed(PhaseFailed):
    """Dependencies could not be installed, or the linter or the tests failed."""

    state = ErrorState.BUILD


class VerificationFailed(PhaseFailed):
    """The staged service does not honour its contract."""

    state = ErrorState.VERIFICATION


class DeploymentFailed(PhaseFailed):
    """The release did not become live; the previous one still is."""

    state = ErrorState.DEPLOYMENT


class RegistrationFailed(PhaseFailed):
    """The registry does not list the deployed service as it should."""

    state = ErrorState.REGISTRATION


class HealthCheckFailed(PhaseFailed):
    """The deployed service runs but does not say that it is active."""

    state = ErrorState.HEALTH_CHECK


class ApprovalFailed(PhaseFailed):
    """The build was rejected at a checkpoint, or nobody answered in time."""

    state = ErrorState.APPROVAL
