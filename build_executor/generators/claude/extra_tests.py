"""Extra tests count only if they pass, and notice when their function is broken on purpose.

All functions are broken in the same way at once, so there is one run a way and not one a function;
a test file is credited only with the ways that change its own function.
"""

from collections.abc import Callable, Mapping, Sequence

from build_executor.errors import GenerationFailed
from build_executor.generators.claude.code_rules import file_findings
from build_executor.generators.claude.gates import Judge
from build_executor.generators.claude.holes import Hole
from build_executor.generators.claude.mutants import mutants
from build_executor.generators.filling import ExtraTest
from build_executor.models import Finding

Check = Callable[[Mapping[str, str], Mapping[str, str]], tuple[Finding, ...]]

_UNUSABLE = "its function is not in the service"


def judged(
    tests: Sequence[ExtraTest], functions: Mapping[str, str], holes: Sequence[Hole], gates: Judge
) -> tuple[ExtraTest, ...]:
    """The tests with what speaks for or against each."""
    owners = {hole.test_path: hole.name for hole in holes}
    found = {test.path: _refused(test, owners, functions) for test in tests}
    usable = [test for test in tests if found[test.path] is None]
    for check in (gates.faults_of_tests, gates.try_tests):
        reasons = _reasons(check, functions, usable)
        found |= reasons
        usable = [test for test in usable if test.path not in reasons]
    caught, tried = _caught(usable, owners, functions, gates)
    return tuple(_verdict(test, found[test.path], tried, caught) for test in tests)


def _refused(
    test: ExtraTest, owners: Mapping[str, str], functions: Mapping[str, str]
) -> str | None:
    if owners.get(test.path) not in functions:
        return _UNUSABLE
    findings = file_findings(test.text, test.path)
    return str(findings[0]) if findings else None


def _reasons(
    check: Check, functions: Mapping[str, str], tests: Sequence[ExtraTest]
) -> dict[str, str]:
    """Why some of these tests cannot stay; what nobody can be blamed for falls back on all."""
    if not tests:
        return {}
    try:
        findings = check(functions, {test.path: test.text for test in tests})
    except GenerationFailed as error:
        findings = error.findings
    own = {finding.file: str(finding)[:300] for finding in reversed(findings)}
    if findings and not own.keys() & {test.path for test in tests}:
        return {test.path: str(findings[0])[:300] for test in tests}
    return {test.path: own[test.path] for test in tests if test.path in own}


def _caught(
    tests: Sequence[ExtraTest],
    owners: Mapping[str, str],
    functions: Mapping[str, str],
    gates: Judge,
) -> tuple[dict[str, int], dict[str, int]]:
    """How often each file noticed, and in how many ways its function was broken."""
    ways: dict[str, dict[str, str]] = {}
    for name in {owners[test.path] for test in tests}:
        for way, broken in mutants(functions[name]):
            ways.setdefault(way, {})[name] = broken
    caught, tried = dict.fromkeys(owners, 0), dict.fromkeys(owners, 0)
    for broken_functions in ways.values():
        reasons = _reasons(gates.try_tests, {**functions, **broken_functions}, tests)
        for test in tests:
            is_broken = owners[test.path] in broken_functions
            tried[test.path] += is_broken
            caught[test.path] += is_broken and test.path in reasons
    return caught, tried


def _verdict(
    test: ExtraTest, reason: str | None, tried: Mapping[str, int], caught: Mapping[str, int]
) -> ExtraTest:
    noticed, ways = caught.get(test.path, 0), tried.get(test.path, 0)
    if reason is None and noticed == 0:
        reason = f"passes whatever is broken: {ways} ways were tried"
    told = f"fails if its function is broken: {noticed} of {ways} ways"
    return test.model_copy(
        update={
            "kept": reason is None,
            "reason": reason or told,
            "mutants": ways,
            "caught": noticed,
        }
    )
