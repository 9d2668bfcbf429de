"""What every generator offers; adding one is a file and a line in the dict beside this."""

from collections.abc import Mapping
from typing import Protocol

from pydantic import Field

from build_executor.models import Finding, Value
from build_executor.spec.contract import Contract


class Attempt(Value):
    """Which try this is, why the last one was rejected, and what it had written."""

    number: int = Field(default=1, ge=1)
    findings: tuple[Finding, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)


class Generator(Protocol):
    """Writes files from a contract; it neither judges nor stores them."""

    @property
    def trusted(self) -> bool:
        """Whether its code may run without isolation: it is this package's own, from templates."""

    def generate_code(self, contract: Contract, attempt: Attempt) -> Mapping[str, str]:
        """The service's files: path relative to the source -> text."""

    def generate_tests(self, contract: Contract, attempt: Attempt) -> Mapping[str, str]:
        """The tests' files, all below `tests/`."""
