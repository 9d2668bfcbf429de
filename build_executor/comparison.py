"""What a new release changes for those who use the one that is live: shown before anybody decides.

The contract and the SPEC of what is live are those that its build left in the artifact store. Where
they are missing nothing is compared, and the reader is told so.
"""

import difflib
from collections.abc import Sequence

from build_executor.artifacts import CONTRACT, SPEC, ArtifactStore
from build_executor.deployment import LiveService, describe
from build_executor.errors import ApprovalFailed, DeploymentFailed
from build_executor.models import Value
from build_executor.spec.compatibility import Change, compare_contracts
from build_executor.spec.contract import Contract
from build_executor.targets.target import Target

_MOST_LINES = 5_000  # finding what differs takes the square of it
_MOST_DIFF_LINES = 200


class Comparison(Value):
    """The new contract against the release that is live on these targets."""

    targets: tuple[str, ...]
    live_release: str | None = None
    live_build: str | None = None
    changes: tuple[Change, ...] = ()
    spec_diff: tuple[str, ...] = ()
    note: str = ""

    @property
    def breaking(self) -> tuple[Change, ...]:
        """The changes that somebody may not be ready for."""
        return tuple(change for change in self.changes if change.breaking)


class Compatibility(Value):
    """One comparison for each release that is live on a target asked for."""

    comparisons: tuple[Comparison, ...] = ()

    @property
    def breaking(self) -> tuple[Change, ...]:
        """The changes that somebody may not be ready for, on any target."""
        found = (change for one in self.comparisons for change in one.breaking)
        return tuple(dict.fromkeys(found))


def compare_with_live(
    contract: Contract, spec: str, targets: Sequence[Target], store: ArtifactStore
) -> Compatibility:
    """The comparison with what is live; never raises for a target that cannot be reached now."""
    found: dict[tuple[str | None, str], Comparison] = {}
    for target in targets:
        compared = _compared(contract, spec, target, store)
        key = (compared.live_release, compared.note)
        names = (*(found[key].targets if key in found else ()), target.name)
        found[key] = compared.model_copy(update={"targets": names})
    return Compatibility(comparisons=tuple(found.values()))


def refuse_unseen(now: Compatibility, *, shown: Compatibility) -> None:
    """Return if an approval of what was shown still covers everything; ApprovalFailed if not."""
    unseen = [str(change) for change in now.breaking if change not in shown.breaking]
    if unseen:
        message = f"what is live changed while the build waited; not shown then: {unseen[0]}"
        raise ApprovalFailed(message)


def _compared(contract: Contract, spec: str, target: Target, store: ArtifactStore) -> Comparison:
    try:
        live = describe(contract.service, target)
    except DeploymentFailed as error:
        return Comparison(targets=(target.name,), note=f"nobody knows what is live: {error}")
    if live is None:
        return Comparison(targets=(target.name,), note="nothing is live")
    old = store.read_value(live.build_id, CONTRACT, Contract)
    return Comparison(
        targets=(target.name,),
        live_release=live.release_id,
        live_build=live.build_id,
        changes=compare_contracts(old, contract) if old is not None else (),
        spec_diff=_spec_diff(spec, live, store),
        note="" if old is not None else "the contract of what is live was not kept: not compared",
    )


def _spec_diff(spec: str, live: LiveService, store: ArtifactStore) -> tuple[str, ...]:
    """The lines that differ, with their surroundings, as far as a person would read them."""
    try:
        old = store.path(live.build_id, SPEC).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    new = spec.splitlines()
    if max(len(old), len(new)) > _MOST_LINES:
        return ()
    names = ("SPEC of what is live", "this SPEC")
    lines = list(difflib.unified_diff(old, new, *names, n=2, lineterm=""))
    left_out = len(lines) - _MOST_DIFF_LINES
    more = [f"... and {left_out} more lines"] if left_out > 0 else []
    return (*lines[:_MOST_DIFF_LINES], *more)
