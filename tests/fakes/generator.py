"""A generator that needs several attempts, and remembers what it was told before each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from build_executor.generators import GENERATORS, Attempt, Generator
from build_executor.models import Finding
from build_executor.spec.contract import Contract

BROKEN = {"app/main.py": "def broken(:\n"}


@dataclass
class ForgetfulGenerator:
    """Writes a syntax error until attempt `good_at`; then what the compiler writes."""

    good_at: int
    compiler: Generator = field(default_factory=lambda: GENERATORS["compiler"])
    told: list[tuple[Finding, ...]] = field(default_factory=list)
    trusted: bool = True

    def generate_code(self, contract: Contract, attempt: Attempt) -> Mapping[str, str]:
        self.told.append(attempt.findings)
        files = self.compiler.generate_code(contract, attempt)
        return files if attempt.number >= self.good_at else {**files, **BROKEN}

    def generate_tests(self, contract: Contract, attempt: Attempt) -> Mapping[str, str]:
        return self.compiler.generate_tests(contract, attempt)
