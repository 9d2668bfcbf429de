"""Gates that run nothing: whoever writes a test says which texts they blame, and for what."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from build_executor.errors import GenerationFailed
from build_executor.generators.claude.earlier_work import Order
from build_executor.models import Finding


@dataclass
class FakeGates:
    """Blames functions whose texts hold one of the `words`, and nothing else."""

    words: Mapping[str, Finding] = field(default_factory=dict)
    silent_about: frozenset[str] = frozenset()
    """Words that break something without a name to blame."""
    faults: tuple[Finding, ...] = ()
    refuses_files: bool = False
    noticed: str | None = None
    """Extra tests fail once this is no longer in a function's text."""
    judged: list[set[str]] = field(default_factory=list)

    def __call__(self, order: Order) -> "FakeGates":
        assert order.contract.service
        return self

    def judge(self, functions: Mapping[str, str]) -> tuple[Finding, ...]:
        self.judged.append(set(functions))
        whole = "\n".join(functions.values())
        found = [finding for word, finding in self.words.items() if word in whole]
        if not found and any(word in whole for word in self.silent_about):
            found = [Finding(gate="pytest", rule="test_else", message="something else broke")]
        return tuple(found)

    def try_tests(
        self, functions: Mapping[str, str], files: Mapping[str, str]
    ) -> tuple[Finding, ...]:
        whole = "\n".join(functions.values())
        if self.noticed is None or self.noticed in whole:
            return ()
        return tuple(Finding(gate="pytest", rule="t", message="m", file=path) for path in files)

    def faults_of_tests(
        self, functions: Mapping[str, str], files: Mapping[str, str]
    ) -> tuple[Finding, ...]:
        assert set(functions) or not files
        if self.refuses_files:
            raise GenerationFailed("not Python", self.faults)
        return self.faults
