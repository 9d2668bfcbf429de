"""What a person changed in a service's `app/logic.py` outlives the next build, or is asked about.

After a completed build the file is kept with what was generated then. A function that a person
changed since is taken over as it is, as long as the contract still demands the same of its
operation; if that demand has changed or is gone, nobody but a person can say what becomes of it.
"""

import difflib
import hashlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from build_executor.errors import GenerationFailed
from build_executor.files import write_atomically
from build_executor.generators.filling import Author, Filling, Written
from build_executor.generators.splice import functions_in, helpers_in, imports_in
from build_executor.models import Finding, Value
from build_executor.settings import Settings
from build_executor.spec.contract import Contract
from build_executor.spec.holes import demand_digest

EDITABLE = "logic.py"
_RECORD = "kept.json"
_log = logging.getLogger(__name__)


class KeptSource(Value):
    """What a completed build generated, and what each function of it was for."""

    build_id: str
    logic: str = Field(description="as generated; the file beside this one may have been edited")
    demands: Mapping[str, str] = Field(description="function -> digest of the operation's demand")
    words: Mapping[str, str] = Field(description="hole -> what the SPEC said of it")
    written: tuple[Written, ...] = ()


class Conflict(Value):
    """An edited function whose operation is no longer the one it was written for."""

    function: str
    reason: str
    diff: str = Field(description="what the person had changed, as a unified diff")

    def __str__(self) -> str:
        """Markdown for the person who decides."""
        return f"**`{self.function}`**: {self.reason}\n\n```diff\n{self.diff}\n```"


class Edits(Value):
    """What of a person's work goes into the next build, and what must be decided first."""

    functions: Mapping[str, str] = Field(default_factory=dict)
    helpers: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


def read_kept(service: str, settings: Settings) -> KeptSource | None:
    """What the newest completed build of the service kept; None if there is none."""
    try:
        record = settings.sources / service / _RECORD
        return KeptSource.model_validate_json(record.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def find_edits(kept: KeptSource, contract: Contract, settings: Settings) -> Edits:
    """What a person changed since; GenerationFailed if the file is no Python any more."""
    text = _edited_text(contract.service, kept, settings)
    before, now = functions_in(kept.logic), _functions(text)
    changed = {name: source for name, source in now.items() if before.get(name) != source}
    conflicts = tuple(_conflicts(kept, changed, contract, before))
    disputed = {conflict.function for conflict in conflicts}
    imports = [line for line in imports_in(text) if line not in imports_in(kept.logic)]
    helpers = [h for h in helpers_in(text, now) if h not in helpers_in(kept.logic, before)]
    return Edits(
        functions={name: source for name, source in changed.items() if name not in disputed},
        helpers=(*imports, *helpers) if changed or helpers else (),
        conflicts=conflicts,
    )


def take_over(
    filling: Filling, kept: KeptSource, edits: Edits, words: Mapping[str, str]
) -> Filling:
    """The account with a person's functions, and with a model's whose demand is still the same.

    `words` are the holes of the new contract with what the SPEC says of them.
    """
    earlier = {one.name: one for one in kept.written}
    by_hand = [_by_hand(name, text, earlier.get(name)) for name, text in edits.functions.items()]
    by_model = [
        one.model_copy(update={"attempt": None})
        for one in kept.written
        if one.author is Author.CLAUDE
        and one.name not in edits.functions
        and words.get(one.name) == kept.words.get(one.name, "")
    ]
    return filling.model_copy(update={"written": (*by_hand, *by_model), "helpers": edits.helpers})


def seen(service: str, settings: Settings) -> str | None:
    """The digest of the file that people edit, as it is now; None if there is none."""
    try:
        content = (settings.sources / service / EDITABLE).read_bytes()
    except FileNotFoundError:
        return None
    return hashlib.sha256(content).hexdigest()


def keep_source(
    record: KeptSource, left: str, service: str, settings: Settings, seen_at_start: str | None
) -> bool:
    """Keep a completed build's functions for its next one; whether that could be done.

    A file that was edited while the build ran is left alone, with what it was edited from.
    """
    folder = settings.sources / service
    file = folder / EDITABLE
    if seen(service, settings) != seen_at_start:
        _log.warning("%s was edited during the build: the edit waits for the next one", file)
        return False
    write_atomically(file, left.encode(), mode=0o644)
    write_atomically(folder / _RECORD, record.model_dump_json(indent=2).encode())
    return True


def demands_of(contract: Contract) -> dict[str, str]:
    """The digest of what the contract demands of each operation, by its function."""
    return {o.name: demand_digest(o, contract) for o in contract.business}


def _edited_text(service: str, kept: KeptSource, settings: Settings) -> str:
    file: Path = settings.sources / service / EDITABLE
    try:
        return file.read_text()
    except FileNotFoundError:
        return kept.logic
    except UnicodeDecodeError as error:
        raise GenerationFailed(f"{EDITABLE} of {service} is not text: {error}") from error


def _functions(text: str) -> dict[str, str]:
    try:
        return functions_in(text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        finding = Finding(gate="parse", rule="syntax", message=str(error), file=EDITABLE, line=line)
        raise GenerationFailed("the file that a person edited is not Python", [finding]) from error


def _conflicts(
    kept: KeptSource, changed: Mapping[str, str], contract: Contract, before: Mapping[str, str]
) -> Iterator[Conflict]:
    demands = demands_of(contract)
    for name, source in changed.items():
        if name not in kept.demands or demands.get(name) == kept.demands[name]:
            continue
        reason = (
            "the contract demands something else of its operation now"
            if name in demands
            else "the contract no longer has its operation"
        )
        yield Conflict(function=name, reason=reason, diff=_diff(before.get(name, ""), source))


def _diff(before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "generated", "edited", lineterm=""
    )
    return "\n".join(lines)


def _by_hand(name: str, text: str, earlier: Written | None) -> Written:
    """What a person changed in a model's function is still partly the model's."""
    model = earlier.model if earlier is not None else None
    return Written(name=name, text=text, author=Author.PERSON, model=model)
