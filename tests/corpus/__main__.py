"""`make corpus`: every document of a folder read, judged, built, deployed, and taken down again.

python -m tests.corpus FOLDER [--only WORD] [--into docs]

The folder holds documents and a `truth.json`. The exit code is 1 if a goal is missed.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from build_executor.settings import Settings
from build_executor.spec.derivation import derive_contract
from tests.corpus.pipeline import Outcome, build, emitting_seconds
from tests.corpus.report import Entry, as_data, as_page, goals
from tests.corpus.round_trip import round_trips
from tests.corpus.truth import Reading, read_corpus

_TIMES = 3


def main() -> int:
    """Score the folder, print the page, write page and data; 1 if a goal is missed."""
    options = _options()
    home = Path(tempfile.mkdtemp(prefix="bx-corpus-"))
    settings = _settings(home)
    try:
        readings = [r for r in read_corpus(options.folder) if options.only in r.name]
        entries = [_entry(reading, options.folder, settings) for reading in readings]
    finally:
        shutil.rmtree(home)
    page = as_page(entries)
    if not options.only:
        _write(options.into, page, json.dumps(as_data(entries), indent=1) + "\n")
    sys.stdout.write(page)
    return int(not all(goal.is_met for goal in goals(entries)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="documents whose name has this in it")
    parser.add_argument("--into", type=Path, default=Path("docs"))
    return parser.parse_args()


def _settings(home: Path) -> Settings:
    """Nothing of this machine's mesh is touched, whatever its environment says."""
    return Settings(
        build_executor_home=home,
        spec_roots=(home,),
        registry_url=None,
        verifier_url=None,
        orchestrator_url=None,
        sovereign_factory_url=None,
    )


def _entry(reading: Reading, folder: Path, settings: Settings) -> Entry:
    if reading.contract is None or not reading.buildable:
        return Entry(reading, 0, None, [])
    text = (folder / reading.name).read_text(encoding="utf-8")
    milliseconds = min(_compile(text) for _ in range(_TIMES)) * 1000
    build_id = f"corpus-{reading.contract.service}"
    outcome = build(reading.contract, build_id, settings)
    _say(reading, outcome)
    return Entry(reading, milliseconds, outcome, round_trips(reading.contract))


def _compile(text: str) -> float:
    """Seconds from the text of a SPEC to the text of its service."""
    started = time.perf_counter()
    contract = derive_contract(text)
    return time.perf_counter() - started + emitting_seconds(contract)


def _say(reading: Reading, outcome: Outcome) -> None:
    result = "completed" if outcome.completed else f"FAILED in {outcome.failed_in}"
    took = sum(outcome.seconds.values())
    sys.stderr.write(f"{reading.name}: {result} in {took:.1f} s\n")
    if outcome.failure:
        sys.stderr.write(f"{outcome.failure}\n")


def _write(folder: Path, page: str, data: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "corpus.md").write_text(page, encoding="utf-8")
    (folder / "corpus.json").write_text(data, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
